package httpapi

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a request says is shown in an answer so that one knows it again, however long it is.
func TestEchoesAreShort(t *testing.T) {
	a := newTestAPI(readsFake(), nil)
	long := strings.Repeat("é", 10_000)
	f := func(method, path, body string, status int) {
		t.Helper()
		w := do(a, method, path, strings.NewReader(body))
		if w.Code != status || w.Body.Len() > 600 || !json.Valid(w.Body.Bytes()) || strings.Contains(w.Body.String(), "\ufffd") {
			t.Errorf("%s %.40s: %d, %d bytes, %.400s", method, path, w.Code, w.Body.Len(), w.Body)
		}
	}
	f("GET", "/v1/profiles/user_id:"+long, "", 404)
	f("GET", "/v1/profiles/"+long, "", 400)
	f("GET", "/v1/profiles/user_id:"+long+"/explain", "", 404)
	f("GET", "/v1/profiles/user_id:bob/explain?audience="+long, "", 404)
	f("GET", "/v1/profiles/user_id:bob/events?limit="+long, "", 400)
	f("GET", "/v1/profiles/user_id:bob/events?since="+long, "", 400)
	f("GET", "/v1/audiences/"+long+"/members", "", 404)
	f("GET", "/v1/audiences/"+long+"/stats", "", 404)
	f("GET", "/v1/audiences/vip/members?cursor="+long, "", 400)
	f("GET", "/v1/audiences/vip/members?limit="+long, "", 400)
	f("GET", "/v1/activations/stream?audience="+long, "", 404)
	f("GET", "/v1/status?wait="+long, "", 400)
	f("GET", "/"+long, "", 404)
	f("PATCH", "/v1/profiles/"+long, "", 405)
	f("POST", "/v1/profiles:batchGet", `{"ids":["`+long+`"]}`, 400)
	f("POST", "/v1/query", `{"where":"true","of":"`+long+`"}`, 400)
	f("POST", "/v1/query", `{"`+strings.Repeat("x", 9_000)+`":1}`, 400)
	f("PUT", "/v1/cookbook?dry_run="+long, "", 400)
}

// Answers are no HTML: &, < and > stand in them as they are.
func TestAnswersEscapeNoHTML(t *testing.T) {
	a := newTestAPI(readsFake(), nil)
	if w := do(a, "GET", "/v1/profiles/user_id:a<b>&c", nil); w.Code != 404 || !strings.Contains(w.Body.String(), `\"user_id:a<b>&c\"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w := httptest.NewRecorder()
	answer(w, httptest.NewRequest("GET", "/", nil), map[string]string{"a": "<&>"})
	if got, want := w.Body.String(), `{"a":"<&>"}`+"\n"; got != want || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%q, want %q", got, want)
	}
}

// A body in an encoding that is not understood is said to be, with what is.
func TestUnknownEncoding(t *testing.T) {
	a := newTestAPI(readsFake(), nil)
	f := func(path, encoding, understood, want string) {
		t.Helper()
		r := httptest.NewRequest("POST", path, io.LimitReader(zipped(`{"ids":[]}`), 1000))
		r.Header.Set("Content-Encoding", encoding)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != 415 || w.Header().Get("Accept-Encoding") != understood || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s %s: %d %v %s", path, encoding, w.Code, w.Header(), w.Body)
		}
	}
	f("/v1/batch", "br", "gzip, identity", `unknown Content-Encoding \"br\"","hint":"Content-Encoding may be gzip or absent"`)
	f("/v1/track", "zstd", "gzip, identity", `\"zstd\"`)
	f("/v1/profiles:batchGet", "gzip", "identity", "only events may be sent in gzip")
	f("/v1/query", "br", "identity", `\"br\"`)
}

// A body that asks and cannot be read is answered with what is wrong in it, without a word of the library, and what it takes.
func TestBodyWords(t *testing.T) {
	a := newTestAPI(readsFake(), nil)
	f := func(path, body, want string) {
		t.Helper()
		w := do(a, "POST", path, strings.NewReader(body))
		if w.Code != 400 || !strings.Contains(w.Body.String(), want) || strings.Contains(w.Body.String(), "Go ") || strings.Contains(w.Body.String(), "json: ") {
			t.Errorf("%s %s: %d %s, want %s", path, body, w.Code, w.Body, want)
		}
	}
	const takes = `"hint":"the body is one JSON object with where, of, limit, cursor"`
	f("/v1/query", `{"where":5}`, `\"where\" is a number; wanted: a string",`+takes)
	f("/v1/query", `{"where":"vip","limit":"5"}`, `\"limit\" is a string; wanted: a whole number`)
	f("/v1/query", `{"limits":5}`, `unknown field \"limits\"","hint":"did you mean limit? the body is one JSON object with where, of, limit, cursor"`)
	f("/v1/query", `[]`, `it is an array",`+takes)
	f("/v1/query", ``, `it is not JSON: EOF",`+takes)
	f("/v1/query", `{"where":"vip"`, `it is not JSON: unexpected EOF`)
	f("/v1/query", `vip`, `it is not JSON: invalid character 'v'`)
	f("/v1/profiles:batchGet", `{"ids":"u7"}`, `\"ids\" is a string; wanted: an array","hint":"the body is one JSON object with ids"`)
	if w := do(a, "GET", "/v1/profiles", nil); w.Code != 404 || !json.Valid(w.Body.Bytes()) {
		t.Errorf("a list of profiles: %d %s", w.Code, w.Body)
	}
}
