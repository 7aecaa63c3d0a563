package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/pipeline/identity/match"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

// Links are made with one more identifier: all records of a person are sent with the same match_id, which the cookbook knows as a
// weak namespace. So records that have nothing but identifiers of one kind, such as two e-mail addresses, can be linked too,
// the rules of the cookbook judge every link, and cutting a record off its match_id takes it out again.

// matchNamespace is the namespace of the identifiers that link records.
const matchNamespace = "match_id"

// linkOptions are the flags of identity match that make links.
type linkOptions struct {
	identifiers, recipes []string
	accept, write, key   string
	send                 bool
}

func (o *linkOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.write, "write", "", "write the links of the accepted pairs as events, one a line, to this file")
	f.BoolVar(&o.send, "send", false, "send the links of the accepted pairs to the node at --addr, which puts them into Kafka")
	f.StringVar(&o.accept, "accept", "", "with --write or --send: the least probability of a pair that is linked, or a CSV file of pairs whose column accepted says yes (default: all accepted pairs)")
	f.StringSliceVar(&o.identifiers, "identifier", nil, "with --write or --send: which column holds identifiers of a namespace, as NAMESPACE=COLUMN (default: by name)")
	f.StringSliceVar(&o.recipes, "recipes", nil, "with --write or --send: recipes that say which namespaces there are (default: with --send those of the node, else the default identity)")
	f.StringVar(&o.key, "write-key", "", "with --send: the write key, if the node wants one")
}

func (o *linkOptions) wanted() bool { return o.send || o.write != "" }

// carried are the identifiers that records have of their own.
type carried struct {
	namespaces []event.Namespace
	columns    []int // by namespace; -1: none
	bridge     event.Namespace
	of         [][]string // by record: by namespace, normalised; "" for none
}

// carry finds out in which columns rows have identifiers.
func (o *linkOptions) carry(c *cobra.Command, cl *client, columns []match.Column) (carried, error) {
	var k carried
	if !o.wanted() {
		if o.accept != "" || len(o.identifiers) > 0 {
			return k, errors.New("--accept and --identifier are for making links: say where they go with --write FILE or --send")
		}
		return k, nil
	}
	program, err := o.program(c, cl)
	if err != nil {
		return k, err
	}
	k.namespaces = program.Schema.Namespaces
	i := slices.IndexFunc(k.namespaces, func(ns event.Namespace) bool { return ns.Name == matchNamespace })
	if i < 0 {
		return k, fmt.Errorf("the cookbook has no namespace %q to link by: add {name: %s, from: context.match_id} at the end of its identity", matchNamespace, matchNamespace)
	}
	k.bridge = k.namespaces[i]
	k.columns = make([]int, len(k.namespaces))
	for i, ns := range k.namespaces {
		k.columns[i] = slices.IndexFunc(columns, func(c match.Column) bool {
			return strings.EqualFold(c.Name, ns.Name) || c.Kind == match.Email && ns.Name == "email" || c.Kind == match.Phone && ns.Name == "phone"
		})
	}
	for _, s := range o.identifiers {
		name, column, _ := strings.Cut(s, "=")
		ns := slices.IndexFunc(k.namespaces, func(n event.Namespace) bool { return n.Name == name })
		at := slices.IndexFunc(columns, func(c match.Column) bool { return c.Name == column })
		if ns < 0 || at < 0 {
			return k, fmt.Errorf("--identifier is %q; wanted: NAMESPACE=COLUMN, with one of the namespaces %s and one of the columns %s", s, k.names(), columnNames(columns))
		}
		k.columns[ns] = at
	}
	if !slices.ContainsFunc(k.columns, func(c int) bool { return c >= 0 }) {
		return k, fmt.Errorf("no column holds identifiers: say which with --identifier NAMESPACE=COLUMN (namespaces: %s; columns: %s)", k.names(), columnNames(columns))
	}
	return k, nil
}

func (k *carried) names() string {
	var names []string
	for _, ns := range k.namespaces {
		names = append(names, ns.Name)
	}
	return strings.Join(names, ", ")
}

func columnNames(columns []match.Column) string {
	var names []string
	for _, c := range columns {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// program is the cookbook whose namespaces count.
func (o *linkOptions) program(c *cobra.Command, cl *client) (*recipe.Program, error) {
	var sources []recipe.Source
	var err error
	switch {
	case len(o.recipes) > 0:
		sources, err = readRecipes(c.Context(), o.recipes)
	case o.send:
		sources, err = cl.cookbook(c.Context())
	}
	if err != nil {
		return nil, err
	}
	return compiled(c, sources)
}

// add keeps the identifiers of the next record.
func (k *carried) add(row []string) {
	if k.columns == nil {
		return
	}
	values := make([]string, len(k.columns))
	for i, column := range k.columns {
		if column < 0 || column >= len(row) || row[column] == "" {
			continue
		}
		if v, ok := k.namespaces[i].Normalise(nil, []byte(row[column])); ok {
			values[i] = string(v)
		}
	}
	k.of = append(k.of, values)
}

// make writes or sends the links.
func (o *linkOptions) make(c *cobra.Command, cl *client, r *records) error {
	if !o.wanted() {
		return nil
	}
	pairs, err := o.accepted(c.Context(), r)
	if err != nil {
		return err
	}
	links := r.links(pairs, time.Now())
	if o.write != "" {
		if err := writeLinks(o.write, links.events); err != nil {
			return err
		}
	}
	if o.send {
		if err := cl.sendBatches(c.Context(), links.events, o.key); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s for %s", say.Count(len(links.events), "link event"), say.Count(links.people, "person"))
	if links.without > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "; without an identifier, so not linked: %s", say.Count(links.without, "record"))
	}
	fmt.Fprintln(c.ErrOrStderr())
	return nil
}

// accepted are the pairs of records that are to be linked.
func (o *linkOptions) accepted(ctx context.Context, r *records) (pairs [][2]int32, err error) {
	least, notANumber := 0.0, error(nil)
	if o.accept != "" {
		least, notANumber = strconv.ParseFloat(o.accept, 64)
	}
	if notANumber != nil {
		return r.reviewed(ctx, o.accept)
	}
	for _, p := range r.result.Pairs {
		if p.Probability >= least {
			pairs = append(pairs, [2]int32{p.A, p.B})
		}
	}
	return pairs, nil
}

// reviewed reads the pairs that somebody accepted.
func (r *records) reviewed(ctx context.Context, path string) (pairs [][2]int32, err error) {
	byKey := map[string]int32{}
	for i, key := range r.keys {
		if _, twice := byKey[key]; twice {
			return nil, fmt.Errorf("record %q stands twice in %q, so pairs cannot be told apart by it: say which column is the id with --column NAME=id", key, r.file)
		}
		byKey[key] = int32(i)
	}
	f, err := openFile(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("cannot read accepted pairs (--accept takes a probability or a file): %w", err)
	}
	defer f.Close()
	in := csv.NewReader(&rows{ctx: ctx, file: f})
	header, err := in.Read()
	a, b, yes := slices.Index(header, "a"), slices.Index(header, "b"), slices.Index(header, "accepted")
	if err != nil || a < 0 || b < 0 || yes < 0 {
		return nil, fmt.Errorf("cannot read accepted pairs from %q: it needs the columns a, b and accepted, as -o csv writes them", path)
	}
	for line := 2; ; line++ {
		row, err := in.Read()
		if err == io.EOF {
			return pairs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read accepted pairs from %q: %w", path, err)
		}
		switch strings.ToLower(strings.TrimSpace(row[yes])) {
		case "yes", "y", "true", "1", "x":
		case "no", "n", "false", "0", "":
			continue
		default:
			return nil, fmt.Errorf("%s line %d: accepted is %q; wanted: yes or no", path, line, row[yes])
		}
		i, ok := byKey[row[a]]
		j, also := byKey[row[b]]
		if !ok || !also {
			return nil, fmt.Errorf("%s line %d: no records %q and %q in %q", path, line, row[a], row[b], r.file)
		}
		pairs = append(pairs, [2]int32{i, j})
	}
}

// links are events that link the records of people.
type links struct {
	events  []json.RawMessage
	people  int
	without int // records that have no identifier
}

// links joins the pairs to people, and makes an event for each of their records.
func (r *records) links(pairs [][2]int32, now time.Time) links {
	people := match.Join(r.table.Records(), pairs)
	var all links
	for _, members := range people {
		var with []int32
		for _, m := range members {
			if slices.ContainsFunc(r.carried.of[m], func(v string) bool { return v != "" }) {
				with = append(with, m)
			} else {
				all.without++
			}
		}
		if len(with) < 2 {
			continue
		}
		all.people++
		id := r.matchID(with)
		for _, m := range with {
			all.events = append(all.events, r.linkEvent(m, id, now))
		}
	}
	return all
}

// matchID is the hash of the smallest identifier of a person, strongest namespace first: the same people get the same id again.
func (r *records) matchID(members []int32) string {
	for i, ns := range r.carried.namespaces {
		smallest := ""
		for _, m := range members {
			if v := r.carried.of[m][i]; v != "" && (smallest == "" || v < smallest) {
				smallest = v
			}
		}
		if smallest != "" {
			return fmt.Sprintf("%016x", identity.Hash(ns.Name, []byte(smallest)))
		}
	}
	panic("BUG: a person without identifiers")
}

// linkEvent is an identify call with the identifiers of a record and the match_id.
func (r *records) linkEvent(record int32, id string, now time.Time) json.RawMessage {
	message := map[string]any{"type": "identify", "messageId": "match-" + id + "-" + r.keys[record], "timestamp": now.UTC().Format(time.RFC3339)}
	put(message, []string{"context", "match"}, map[string]string{"file": filepath.Base(r.file), "record": r.keys[record]})
	put(message, r.carried.bridge.Paths[0], id)
	for i, v := range r.carried.of[record] {
		if v != "" {
			put(message, r.carried.namespaces[i].Paths[0], v)
		}
	}
	text, err := say.JSON(message)
	if err != nil {
		panic("BUG: a link event is no JSON: " + err.Error())
	}
	return text
}

// put sets a value at a path, with objects on the way.
func put(object map[string]any, path []string, value any) {
	for _, key := range path[:len(path)-1] {
		next, ok := object[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			object[key] = next
		}
		object = next
	}
	object[path[len(path)-1]] = value
}

func writeLinks(path string, events []json.RawMessage) error {
	return writeOut("links", path, func(w *bufio.Writer) error {
		for _, e := range events {
			w.Write(e)
			w.WriteByte('\n')
		}
		return nil
	})
}

// batchEvents keeps a batch far below what a node takes.
const batchEvents = 200

// sendBatches posts events; all of them are in Kafka when it returns.
func (c *client) sendBatches(ctx context.Context, events []json.RawMessage, key string) error {
	for chunk := range slices.Chunk(events, batchEvents) {
		body := map[string]any{"batch": chunk}
		if key != "" {
			body["writeKey"] = key
		}
		answer, err := c.open(ctx, "POST", "/v1/batch", body)
		if err != nil {
			return fmt.Errorf("cannot send links: %w", err)
		}
		answer.Close()
	}
	return nil
}
