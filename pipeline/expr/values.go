package expr

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"dashi/pipeline/attribute"
)

// listValue is a set or list attribute inside cel-go.
type listValue struct {
	traits.Lister
	newest func() ref.Val
}

func (l *listValue) best() ref.Val { return l.newest() }

// tallyValue is a tally inside cel-go: a map from string to number in which every key is there, as far as
// reading its number goes. Its order is that of the attribute.
type tallyValue struct {
	keys    traits.Lister
	numbers map[string]float64
	top     func() ref.Val
}

func newTallyValue(e attribute.Elements, best func() ref.Val) *tallyValue {
	t := &tallyValue{numbers: map[string]float64{}, top: best}
	var keys []ref.Val
	for e.Next() {
		keys = append(keys, types.String(e.Value))
		t.numbers[string(e.Value)] = e.Number
	}
	t.keys = types.NewRefValList(types.DefaultTypeAdapter, keys)
	return t
}

func (t *tallyValue) best() ref.Val { return t.top() }

func (t *tallyValue) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	return real(t.numbers[string(name)]), true
}

func (t *tallyValue) Get(key ref.Val) ref.Val {
	v, _ := t.Find(key)
	return v
}

func (t *tallyValue) Contains(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key)
	}
	_, found := t.numbers[string(name)]
	return types.Bool(found)
}

func (t *tallyValue) Iterator() traits.Iterator { return t.keys.Iterator() }
func (t *tallyValue) Size() ref.Val             { return t.keys.Size() }
func (t *tallyValue) Type() ref.Type            { return types.MapType }
func (t *tallyValue) Value() any                { return t.numbers }

func (t *tallyValue) ConvertToNative(d reflect.Type) (any, error) {
	return nil, fmt.Errorf("cannot convert a tally to %v", d)
}

func (t *tallyValue) ConvertToType(ref.Type) ref.Val { return notThere }

// Equal compares keys and numbers.
func (t *tallyValue) Equal(other ref.Val) ref.Val {
	o, ok := other.(*tallyValue)
	if !ok || len(o.numbers) != len(t.numbers) {
		return types.False
	}
	for _, name := range t.names() {
		if v, ok := o.numbers[name]; !ok || v != t.numbers[name] {
			return types.False
		}
	}
	return types.True
}

func (t *tallyValue) names() []string {
	var names []string
	for it := t.keys.Iterator(); it.HasNext() == types.True; {
		if s, ok := it.Next().(types.String); ok {
			names = append(names, string(s))
		}
	}
	return names
}
