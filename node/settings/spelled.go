package settings

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// topicName is what Kafka takes for the name of a topic; it takes neither "." nor "..".
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// checkSpelled says which names and keys can be in a file, but nowhere else: a node with them would wait for ever, or let nobody in.
func (s *Settings) checkSpelled() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if strings.ContainsFunc(s.Node.ID, func(c rune) bool { return c == '/' || unicode.IsSpace(c) || unicode.IsControl(c) }) {
		bad("node.id: %q has a / or a space, which other nodes would take for its end", s.Node.ID)
	}
	topic := func(name, topic string) {
		if topic != "" && (!topicName.MatchString(topic) || topic == "." || topic == "..") {
			bad("%s: %q is no name that Kafka takes: at most 249 letters, digits, dots, - and _", name, topic)
		}
	}
	topic("kafka.activations", s.Kafka.Activations)
	topic("kafka.dead", s.Kafka.Dead)
	for i, in := range s.Kafka.Inputs {
		topic(fmt.Sprintf("kafka.inputs[%d].topic", i), in.Topic)
	}
	keys := func(name string, keys []string) {
		for i, k := range keys {
			if strings.TrimSpace(k) != k || strings.ContainsFunc(k, unicode.IsControl) { // a secret with the end of its line, as a rule
				bad("%s[%d]: it begins or ends with a space or the end of a line, or has a control character: no client can send it in a header", name, i)
			}
		}
	}
	keys("http.read_keys", s.HTTP.ReadKeys)
	keys("http.admin_keys", s.HTTP.AdminKeys)
	keys("http.write_keys", s.HTTP.WriteKeys)
	return errs
}

// wholeNumbers says where text has a number with a fraction for a setting of type t that is a whole one: the decoder would drop the fraction.
func wholeNumbers(text []byte, t reflect.Type) error {
	var file yaml.Node
	if err := yaml.Unmarshal(text, &file); err != nil || len(file.Content) == 0 {
		return err
	}
	wrong := &yaml.TypeError{}
	findFractions(file.Content[0], t, wrong)
	if len(wrong.Errors) == 0 {
		return nil
	}
	return settingsWords(wrong)
}

func findFractions(n *yaml.Node, t reflect.Type, wrong *yaml.TypeError) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		for i := 0; i+1 < len(n.Content); i += 2 {
			for f := range t.Fields() {
				if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name == n.Content[i].Value {
					findFractions(n.Content[i+1], f.Type, wrong)
				}
			}
		}
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, element := range n.Content {
			findFractions(element, t.Elem(), wrong)
		}
	case n.Kind == yaml.ScalarNode && n.Tag == "!!float" && (t.Kind() == reflect.Int || t.Kind() == reflect.Int64):
		if v, err := strconv.ParseFloat(n.Value, 64); err != nil || v != float64(int64(v)) {
			wrong.Errors = append(wrong.Errors, fmt.Sprintf("line %d: cannot unmarshal !!float `%s` into %s", n.Line, n.Value, t))
		}
	}
}
