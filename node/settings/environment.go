package settings

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
)

// named is a value that stands in the environment: a text that is ${NAME} and nothing else. Secrets need not be in the file then.
var named = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// resolve puts what the environment has in the place of the texts in v that name it. An unknown name is an error: a password that is empty by mistake lets everybody in.
func resolve(v reflect.Value, path string) error {
	switch v.Kind() {
	case reflect.Struct:
		var errs []error
		for f, field := range v.Fields() {
			errs = append(errs, resolve(field, join(path, f.Tag.Get("yaml"))))
		}
		return errors.Join(errs...)
	case reflect.Slice:
		var errs []error
		for i := range v.Len() {
			errs = append(errs, resolve(v.Index(i), fmt.Sprintf("%s[%d]", path, i)))
		}
		return errors.Join(errs...)
	case reflect.Map:
		var errs []error
		for _, key := range slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) }) {
			at := reflect.New(v.Type().Elem()).Elem()
			at.Set(v.MapIndex(key))
			errs = append(errs, resolve(at, join(path, fmt.Sprint(key))))
			v.SetMapIndex(key, at)
		}
		return errors.Join(errs...)
	case reflect.String:
		m := named.FindStringSubmatch(v.String())
		if m == nil {
			return nil
		}
		text := os.Getenv(m[1])
		if text == "" {
			return fmt.Errorf("%s: the environment has no %s", path, m[1])
		}
		v.SetString(text)
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
