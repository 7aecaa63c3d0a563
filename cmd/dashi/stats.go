package main

import (
	"context"
	"fmt"
	"net/url"
	"text/tabwriter"

	"dashi/node/httpapi"
	"dashi/pipeline/say"
)

// audienceStats shows every audience over time.
func audienceStats(ctx context.Context, cl *client) error {
	var list struct{ Audiences []struct{ Name string } }
	if err := cl.fetch(ctx, "/v1/audiences", &list); err != nil {
		return err
	}
	all := make([]httpapi.AudienceStats, len(list.Audiences))
	for i, a := range list.Audiences {
		if err := cl.fetch(ctx, "/v1/audiences/"+url.PathEscape(a.Name)+"/stats", &all[i]); err != nil {
			return err
		}
	}
	if cl.json() {
		return say.WriteJSON(cl.out, map[string]any{"audiences": all})
	}
	w := tabwriter.NewWriter(cl.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AUDIENCE\tSIZE\tLAST 24 HOURS\tENTERED\tLEFT\tIN 14 DAYS\tLEFT\tSENT\tSHARES MOST WITH")
	for i := range all {
		a := &all[i]
		day := a.Hours[max(0, len(a.Hours)-24):]
		entered, left := flowOf(day)
		enteredAll, leftAll := flowOf(a.Hours)
		sent := int64(0)
		for _, act := range a.Activations {
			sent += act.Sent
		}
		shares := "-"
		if len(a.Overlap) > 0 {
			o := a.Overlap[0]
			shares = fmt.Sprintf("%s (%d, %.0f %%)", o.Audience, o.Both, 100*float64(o.Both)/float64(max(a.Size, 1)))
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", a.Audience, a.Size, sparkline(sizesOf(day)), entered, left, enteredAll, leftAll, sent, shares)
	}
	return w.Flush()
}

func flowOf(hours []httpapi.AudienceHour) (entered, left int64) {
	for _, h := range hours {
		entered, left = entered+h.Entered, left+h.Left
	}
	return entered, left
}

func sizesOf(hours []httpapi.AudienceHour) (sizes []int64) {
	for _, h := range hours {
		sizes = append(sizes, h.Size)
	}
	return sizes
}

// sparkline draws numbers, the largest as high as a character.
func sparkline(numbers []int64) string {
	marks := []rune("▁▂▃▄▅▆▇█")
	most := int64(1)
	for _, n := range numbers {
		most = max(most, n)
	}
	line := make([]rune, len(numbers))
	for i, n := range numbers {
		line[i] = marks[n*int64(len(marks)-1)/most]
	}
	return string(line)
}
