package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTestCommand(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shop := write("shop.yml", "recipe: shop\nattributes: {orders: {kind: count, on: Order Completed}}\naudiences: {buyers: orders > 0}\n"+
		"tests:\n  inside: [{Order Completed: {}}, {expect: {audiences: [buyers]}}]\n")
	tests := write("shop.test.yml", "tests:\n  beside: [{Order Completed: {}}, {expect: {attributes: {orders: 1}}}]\n")

	for _, path := range []string{dir, shop, tests} {
		if out, errs, err := dashi(t, "test", path); err != nil || !strings.HasPrefix(out, "ok: 2 passed, 0 failed") || !strings.Contains(out, "coverage: 2 of 2 rules touched\n") {
			t.Errorf("test %s: %q %q %v", path, out, errs, err)
		}
	}
	if out, _, err := dashi(t, oneDash([]string{"test", shop, "-run", "beside", "-v"})...); err != nil || !strings.HasPrefix(out, "ok    beside\nok: 1 passed") {
		t.Errorf("%q %v", out, err)
	}
	if _, _, err := dashi(t, "test", shop, "--run", "nowhere"); err == nil || !strings.Contains(err.Error(), "no test matches") {
		t.Error(err)
	}
	if _, errs, err := dashi(t, "check", dir); err != nil {
		t.Errorf("check takes tests for recipes: %q %v", errs, err)
	}

	write("shop.test.yml", "tests:\n  beside:\n    - Order Completed: {}\n    - expect: {attributes: {orders: 2}}\n")
	out, _, err := dashi(t, "test", dir)
	want := "FAIL  beside  (" + tests + ":2)\n  " + tests + ":4: at 2026-01-01T09:00:00Z: attribute orders of user_id:somebody\n    want 2\n    got  1\nFAIL: 1 passed, 1 failed"
	if err == nil || !strings.HasPrefix(out, want) {
		t.Errorf("%v\n got %q\nwant %q", err, out, want)
	}
	out, _, err = dashi(t, "test", dir, "-o", "json")
	var report testReport
	if err == nil || json.Unmarshal([]byte(out), &report) != nil || report.Failed != 1 || report.Tests[1].Failures[0].Line != 4 || report.Coverage.Rules != 2 {
		t.Errorf("%v %s", err, out)
	}

	write("shop.test.yml", "tests:\n  beside: [{expects: {}}, {Order Completed: {}, at: noon}]\n")
	if _, errs, err := dashi(t, "test", dir); err == nil || !strings.Contains(errs, tests+":2:") || !strings.Contains(errs, `"noon" is no instant`) {
		t.Errorf("%q %v", errs, err)
	}
	lone := write("lone.yml", "recipe: lone\n")
	if _, _, err := dashi(t, "test", lone); err == nil || !strings.Contains(err.Error(), "there are no tests") {
		t.Error(err)
	}
}
