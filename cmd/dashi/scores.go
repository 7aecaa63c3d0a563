package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/url"
)

// scoresAnswer is what GET /v1/profiles/{id}/scores answers.
type scoresAnswer struct {
	Profile string
	Scores  []struct {
		Score, Model, Unit string
		Value, Base        *float64
		Factors            []struct {
			Input string
			Value json.RawMessage
			Adds  *float64
		}
	}
}

// getScores shows the scores of a profile, and what each input adds.
func getScores(ctx context.Context, cl *client, id string) error {
	var a scoresAnswer
	printed, err := cl.call(ctx, "GET", "/v1/profiles/"+url.PathEscape(id)+"/scores", nil, &a)
	if err != nil || printed {
		return err
	}
	if len(a.Scores) == 0 {
		fmt.Fprintf(cl.out, "%s has no scores: no attribute of the cookbook is of kind score\n", plain(a.Profile))
		return nil
	}
	printScores(cl.out, &a)
	return nil
}

func printScores(out io.Writer, a *scoresAnswer) {
	fmt.Fprintln(out, plain(a.Profile))
	for _, s := range a.Scores {
		value := "none"
		if s.Value != nil {
			value = fmt.Sprintf("%.6g", *s.Value)
		}
		fmt.Fprintf(out, "\n%s  %s  (%s)\n", s.Score, value, s.Model)
		most := 0.0
		for _, f := range s.Factors {
			if f.Adds != nil {
				most = max(most, math.Abs(*f.Adds))
			}
		}
		sum := 0.0
		line := func(adds *float64, bar, text string) {
			number := "none"
			if adds != nil {
				number = fmt.Sprintf("%+.4f", *adds)
				sum += *adds
			}
			fmt.Fprintf(out, "%12s  %-10s  %s\n", number, bar, text)
		}
		line(s.Base, "", "to begin with")
		for _, f := range s.Factors {
			text := f.Input + " = " + string(f.Value)
			if string(f.Value) == "null" {
				text = f.Input + " is not known"
			}
			bar := ""
			if f.Adds != nil {
				bar = strokes(*f.Adds, most)
			}
			line(f.Adds, bar, plain(text))
		}
		fmt.Fprintf(out, "%+12.4f  in all (%s)\n", sum, s.Unit)
	}
}

// strokes draws a factor as a bar; the largest has ten.
func strokes(v, most float64) string {
	if most == 0 {
		return ""
	}
	mark := byte('+')
	if v < 0 {
		mark = '-'
	}
	bar := make([]byte, int(math.Round(10*math.Abs(v)/most)))
	for i := range bar {
		bar[i] = mark
	}
	return string(bar)
}
