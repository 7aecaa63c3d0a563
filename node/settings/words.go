package settings

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	spelling "dashi/pipeline/spell"
)

var (
	unknownSetting = regexp.MustCompile(`^line (\d+): field (.+) not found in type (?:settings|certificate)\.(\w+)$`)
	wrongSetting   = regexp.MustCompile("^line (\\d+): cannot unmarshal !!(\\w+)(?: `((?s:.*))`)? into (.+)$")
)

// settingsWords says what is wrong with a file of settings without the names that types have here. An unknown setting is shown with the one that was meant.
func settingsWords(err error) error {
	typed, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return err
	}
	kinds := map[string]string{"str": "a text", "seq": "a list", "map": "a section", "int": "a number", "float": "a number", "bool": "true or false"}
	var errs []error
	for _, text := range typed.Errors {
		if m := unknownSetting.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("line %s: there is no setting %q here", m[1], m[2])
			if near := spelling.Closest(m[2], settingNames(reflect.TypeFor[Settings](), m[3])); near != "" {
				text += ": did you mean " + near + "?"
			}
		} else if m := wrongSetting.FindStringSubmatch(text); m != nil {
			have := kinds[m[2]]
			if m[3] != "" {
				have = fmt.Sprintf("%q", m[3])
			}
			text = fmt.Sprintf("line %s: this is %s; wanted: %s", m[1], have, wantedSetting(m[4]))
		}
		errs = append(errs, errors.New(text))
	}
	return errors.Join(errs...)
}

// settingNames are the settings in the section whose type has that name.
func settingNames(t reflect.Type, section string) (names []string) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for f := range t.Fields() {
		if t.Name() == section {
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			names = append(names, name)
		} else if names = settingNames(f.Type, section); names != nil {
			break
		}
	}
	return names
}

func wantedSetting(goType string) string {
	switch {
	case strings.HasPrefix(goType, "[]"):
		return "a list, as in [one, two]"
	case goType == "time.Duration":
		return "a length of time, such as 30s, 5m or 12h"
	case goType == "bool":
		return "true or false"
	case strings.HasPrefix(goType, "int"), strings.HasPrefix(goType, "uint"):
		return "a whole number"
	case strings.HasPrefix(goType, "float"):
		return "a number"
	case goType == "string":
		return "a text"
	}
	return "a section of settings, one a line (deploy/dashi.yml has them all)"
}
