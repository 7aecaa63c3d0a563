package recipe

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"dashi/pipeline/spell"
)

// checker compares the nodes of one file with the grammar.
type checker struct {
	doc   *document
	f     *findings
	nodes int
}

func (c *checker) at(n *yaml.Node, message, hint string) {
	c.f.add(Diagnostic{File: c.doc.source.Name, Line: n.Line, Column: n.Column, Message: message, Hint: hint})
}

// resolve replaces aliases by what they stand for, so that no later step meets one. It reports, and returns nil, if the file nests too deeply or unfolds
// to too much.
func (c *checker) resolve(n *yaml.Node, depth int) *yaml.Node {
	if c.nodes++; c.nodes > maxNodes {
		c.at(n, "the file unfolds to more than "+strconv.Itoa(maxNodes)+" YAML nodes", "use fewer aliases")
		return nil
	}
	if depth > maxDepth {
		c.at(n, "this is nested more than "+strconv.Itoa(maxDepth)+" deep", "")
		return nil
	}
	if n.Kind == yaml.AliasNode {
		// The copy stands where the alias is used, which is where a person looks.
		target := *n.Alias
		target.Line, target.Column, target.Anchor = n.Line, n.Column, ""
		target.Content = append([]*yaml.Node(nil), n.Alias.Content...)
		*n = target
	}
	if tag := ForeignTag(n); tag != "" && (n.Kind != yaml.ScalarNode || strings.HasPrefix(tag, "!!")) { // of a scalar with !TAG, checkScalar knows what was meant
		c.at(n, quote(tag)+" is a YAML tag that means nothing here", "remove it")
		c.doc.bad[n] = true
	}
	for i, child := range n.Content {
		if child = c.resolve(child, depth+1); child == nil {
			return nil
		}
		n.Content[i] = child
	}
	return n
}

// ForeignTag is the tag that is written at a node and is none of YAML's own, such as !!python/object; "" for none.
func ForeignTag(n *yaml.Node) string {
	if n.Kind == yaml.AliasNode || n.Kind == yaml.DocumentNode {
		return ""
	}
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!map", "!!seq", "!!merge":
		return ""
	default:
		return tag
	}
}

// check compares n with s, and says whether it is good. what names the place in messages.
func (c *checker) check(n *yaml.Node, s *shape, what string) bool {
	good := c.checkForm(n, s, what)
	if !good {
		c.doc.bad[n] = true
	}
	return good
}

// fits says whether the node has the form of the shape, content aside.
func fits(n *yaml.Node, s *shape) bool {
	switch s.is {
	case object, mapOf:
		return n.Kind == yaml.MappingNode
	case listOf:
		return n.Kind == yaml.SequenceNode
	case anything:
		return true
	}
	return n.Kind == yaml.ScalarNode
}

func (c *checker) checkForm(n *yaml.Node, s *shape, what string) bool {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" && s.is != anything {
		if (s.is == mapOf || s.is == listOf) && s.empty {
			return true
		}
		c.at(n, what+" is empty", "wanted: "+s.describe())
		return false
	}
	if !fits(n, s) {
		for _, o := range s.or {
			if fits(n, o) {
				return c.checkForm(n, o, what)
			}
		}
		hint := ""
		if s.is == expression && n.Kind != yaml.ScalarNode {
			hint = "an expression that begins with { or [ stands in quotes"
		}
		if names := s.keyNames(nil); s.is == object && n.Kind == yaml.ScalarNode && len(names) <= 16 {
			if hint = "its keys are " + strings.Join(names, ", "); s.tag != "" {
				hint = "it begins with its " + s.tag + ", as in `{" + s.tag + ": " + s.variants[0].name + ", ..}`"
			}
			if s.oneKey {
				hint = "its key is one of " + strings.Join(names, ", ")
			}
		}
		c.at(n, what+" is "+describeNode(n)+"; wanted: "+s.describe(), hint)
		return false
	}
	switch s.is {
	case object:
		return c.checkObject(n, s, what)
	case mapOf:
		return c.checkMap(n, s, what)
	case listOf:
		if len(n.Content) == 0 && !s.empty {
			c.at(n, what+" is an empty list", "")
			return false
		}
		good := true
		for _, child := range n.Content {
			element := "an element of " + what
			if name := content(child, "name"); name != "" {
				element = quote(name)
			}
			good = c.check(child, s.of, element) && good
		}
		return good
	}
	return c.checkScalar(n, s, what)
}

// otherWords are what other tools and people call what has another name here.
var otherWords = map[string][]string{
	"name": {"recipe"}, "event": {"on"}, "events": {"on"}, "trigger": {"on"}, "audience": {"on"}, "segment": {"on", "audiences"}, "segments": {"audiences"},
	"filter": {"where"}, "if": {"where", "when"}, "condition": {"when", "where"}, "property": {"value"}, "field": {"value"}, "of": {"value"},
	"purpose": {"requires"}, "purposes": {"requires"}, "consent": {"requires", "purposes"}, "payload": {"include"}, "wait": {"delay"}, "after": {"delay"},
	"traits": {"attributes"}, "destinations": {"activations"}, "campaigns": {"activations"},
	"favourite": {"tally"}, "favorite": {"tally"}, "top": {"tally"}, "unique": {"distinct"}, "average": {"avg"}, "mean": {"avg"}, "latest": {"last"}, "total": {"sum"},
	"funnel": {"sequence"}, "boolean": {"flag"}, "formula": {"derived"}, "computed": {"derived"}, "expression": {"derived"}, "random": {"bucket"}, "ab_test": {"bucket"}, "ab": {"bucket"},
}

// otherWord is the hint for such a word where one of the names is what it stands for; "" otherwise.
func otherWord(word string, names []string) string {
	for _, meant := range otherWords[strings.ToLower(word)] {
		if slices.Contains(names, meant) {
			return "did you mean " + quote(meant) + "?"
		}
	}
	return ""
}

func describeNode(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return quote(n.Value)
	}
	return "something else"
}

func (c *checker) checkObject(n *yaml.Node, s *shape, what string) bool {
	good := c.checkKeys(n, what)
	var v *variant
	if s.tag != "" {
		t := value(n, s.tag)
		if t == nil {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if k := n.Content[i]; strings.HasPrefix(k.Value, s.tag+":") {
					c.at(k, what+" has no "+quote(s.tag), betweenBraces(n, k, n.Content[i+1]))
					return false
				}
			}
			c.at(n, what+" has no "+quote(s.tag), "it is one of "+strings.Join(variantNames(s), ", "))
			return false
		}
		if t.Kind != yaml.ScalarNode {
			c.at(t, quote(s.tag)+" of "+what+" is "+describeNode(t)+"; wanted: text", "")
			return false
		}
		if v = s.variant(t.Value); v == nil {
			names := variantNames(s)
			c.at(t, "unknown "+s.tag+" "+quote(t.Value), cmp.Or(otherWord(t.Value, names), didYouMean(t.Value, names), "it is one of "+strings.Join(names, ", ")))
			return false
		}
		what += " (" + v.name + ")"
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, child := n.Content[i], n.Content[i+1]
		if k.Value == s.tag && s.tag != "" || s == recipeShape && strings.HasPrefix(k.Value, "x-") {
			continue
		}
		found := s.find(k.Value, v)
		if found == nil {
			c.at(k, "unknown key "+quote(k.Value)+" in "+what, cmp.Or(betweenBraces(n, k, child), within(k.Value, s, v), otherWord(k.Value, s.keyNames(v)), didYouMean(k.Value, s.keyNames(v))))
			good = false
			continue
		}
		part := quote(k.Value)
		if s != recipeShape {
			part += " of " + what
		}
		good = c.check(child, found.shape, part) && good
	}
	return c.checkRequired(n, s, v, what) && good
}

// within is the hint for a key that belongs one level deeper, as `on` of a set does; "" if it does not, or if another key was probably meant.
func within(name string, s *shape, v *variant) string {
	if v == nil || spell.Closest(name, s.keyNames(v)) != "" {
		return ""
	}
	for i := range v.keys {
		if in := &v.keys[i]; in.required && in.shape.is == object && in.shape.find(name, nil) != nil {
			return "it stands within " + quote(in.name) + ", as in `" + in.name + ": {" + name + ": ..}`"
		}
	}
	return ""
}

// betweenBraces is the hint for a key that was not meant as one: YAML cuts what stands between { and } at each comma, and takes a colon without a space
// behind it as part of the text. It is "" if that is not the reason.
func betweenBraces(n, k, child *yaml.Node) string {
	switch {
	case n.Style&yaml.FlowStyle == 0 || child.Tag != "!!null" || child.Value != "":
		return ""
	case strings.Contains(k.Value, ":"):
		return "a space stands behind the colon, as in `" + strings.Replace(k.Value, ":", ": ", 1) + "`"
	case len(n.Content) == 2:
		return "between { and } stand keys and values: write it without them"
	}
	return "between { and } a comma begins another key: put a text that contains one in quotes as a whole, and a list in [ ]"
}

func (c *checker) checkRequired(n *yaml.Node, s *shape, v *variant, what string) bool {
	good := true
	need := func(keys []key) {
		for _, k := range keys {
			if k.required && value(n, k.name) == nil {
				c.at(n, what+" has no "+quote(k.name), k.doc)
				good = false
			}
		}
	}
	need(s.keys)
	if v != nil {
		need(v.keys)
	}
	if s.oneKey && len(n.Content) != 2 {
		c.at(n, what+" has "+strconv.Itoa(len(n.Content)/2)+" keys", "write exactly one of "+strings.Join(s.keyNames(nil), ", "))
		good = false
	}
	return good
}

func variantNames(s *shape) []string {
	var names []string
	for i := range s.variants {
		names = append(names, s.variants[i].name)
	}
	return names
}

// checkKeys looks at the keys alone: scalars, each once, no merge keys.
func (c *checker) checkKeys(n *yaml.Node, what string) bool {
	good := true
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch first, twice := lines[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			c.at(k, "a key of "+what+" is "+describeNode(k)+"; wanted: text", "a text that begins with { or [ stands in quotes")
			good = false
		case k.Tag == "!!merge":
			c.at(k, "YAML merge keys (<<) are not supported", "write the keys out, or use an alias for the whole value")
			good = false
		case twice:
			c.at(k, quote(k.Value)+" stands twice in "+what, "the first is on line "+strconv.Itoa(first))
			good = false
		default:
			lines[k.Value] = k.Line
		}
	}
	return good
}

func (c *checker) checkMap(n *yaml.Node, s *shape, what string) bool {
	good := c.checkKeys(n, what)
	if len(n.Content) == 0 && !s.empty {
		c.at(n, what+" is empty", "")
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, child := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			continue
		}
		if message, hint := checkName(k.Value, s.names); message != "" {
			c.at(k, message, cmp.Or(betweenBraces(n, k, child), hint))
			c.doc.bad[child] = true
			good = false
			continue
		}
		good = c.check(child, s.of, quote(k.Value)) && good
	}
	return good
}

func (c *checker) checkScalar(n *yaml.Node, s *shape, what string) bool {
	if n.Kind == yaml.ScalarNode && !strings.HasPrefix(n.Tag, "!!") {
		c.at(n, what+" begins with "+quote(n.Tag)+", which YAML reads as a tag", "put the whole text in quotes: '"+strings.TrimSpace(n.Tag+" "+n.Value)+"'")
		return false
	}
	if s.is == text || s.is == expression {
		if strings.TrimSpace(n.Value) == "" {
			c.at(n, what+" is empty", "wanted: "+s.describe())
			return false
		}
	}
	switch s.is {
	case text:
		if len(s.words) > 0 {
			for _, w := range s.words {
				if n.Value == w {
					return true
				}
			}
			c.at(n, what+" is "+quote(n.Value), didYouMean(n.Value, s.words))
			return false
		}
	case expression:
		if len(n.Value) > maxExpression {
			c.at(n, what+" is longer than "+strconv.Itoa(maxExpression)+" bytes", "use nested audiences or derived attributes")
			return false
		}
	case integer, number:
		v, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || n.Tag != "!!int" && n.Tag != "!!float" || math.IsNaN(v) || math.IsInf(v, 0) || s.is == integer && v != math.Trunc(v) {
			c.at(n, what+" is "+quote(n.Value)+"; wanted: "+s.describe(), numberHint(n, s))
			return false
		}
		if (s.min != 0 || s.max != 0) && (v < s.min || v > s.max) {
			c.at(n, what+" is "+n.Value+", out of range", "wanted: "+plain(s.min)+" to "+plain(s.max))
			return false
		}
	case boolean:
		if n.Tag != "!!bool" {
			c.at(n, what+" is "+quote(n.Value)+"; wanted: true or false", "")
			return false
		}
	}
	return true
}

// numberHint says what to write in place of a text that is no number.
func numberHint(n *yaml.Node, s *shape) string {
	isNumber := func(text string) bool {
		v, err := strconv.ParseFloat(text, 64)
		return err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
	}
	percentage, isPercentage := strings.CutSuffix(n.Value, "%")
	percentage = strings.TrimSpace(percentage)
	switch {
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && isNumber(n.Value):
		return "without the quotes"
	case s.parts && isPercentage && isNumber(percentage):
		return "write " + percentage + ": each gets its part of the sum, so 50 and 50 are halves, as 1 and 1 are"
	case s.parts:
		return "each gets its part of the sum: 1 and 2 are a third and two thirds"
	}
	return ""
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
