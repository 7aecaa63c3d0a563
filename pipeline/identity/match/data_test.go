package match

import (
	"compress/gzip"
	"encoding/csv"
	"os"
	"slices"
	"testing"
)

func readRows(t testing.TB, path string) (header []string, rows [][]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("the data is not there: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[0], all[1:]
}

func tableOf(t testing.TB, header []string, rows [][]string) *Table {
	kinds := Detect(header, rows)
	var columns []Column
	for i, h := range header {
		columns = append(columns, Column{h, kinds[i]})
	}
	table, err := NewTable(columns, rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		table.Add(r)
	}
	return table
}

// quality compares groups with the truth, pair by pair.
func quality(groups []int32, truth []string) (precision, recall, f1 float64) {
	var right, found, there float64
	for a := range groups {
		for b := a + 1; b < len(groups); b++ {
			g, c := groups[a] == groups[b], truth[a] == truth[b]
			if g {
				found++
			}
			if c {
				there++
			}
			if g && c {
				right++
			}
		}
	}
	return right / max(found, 1), right / max(there, 1), 2 * right / max(found+there, 1)
}

func TestFake1000(t *testing.T) {
	header, rows := readRows(t, "../../../../shared/data/fake_1000.csv.gz")
	var truth []string
	at := slices.Index(header, "cluster")
	for _, r := range rows {
		truth = append(truth, r[at])
	}
	table := tableOf(t, header, rows)
	res := Run(table, Settings{})
	p, r, f := quality(res.Groups, truth)
	t.Logf("threshold %.3f, %d people, %d pairs, %d doubtful: precision %.4f, recall %.4f, F1 %.4f", res.Threshold, res.People, len(res.Pairs), len(res.Doubtful), p, r, f)
	for i, f := range res.Model.fields {
		t.Logf("%s m %.4f u %.6f", table.fields[i].name, f.match, f.other)
	}
	if f < 0.9 {
		t.Errorf("F1 is %.4f", f)
	}
}
