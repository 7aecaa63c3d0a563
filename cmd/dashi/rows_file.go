package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// rowsFile is a file of rows of which it is known how they are written. It can be opened again and again, until done.
type rowsFile struct {
	path      string // what messages call it
	file      string // what is opened: path, or a copy of what came out of a pipe
	format    string // csv or jsonl
	delimiter rune   // of csv
	wanted    []string
	done      func()
}

// findRows finds out how the rows of a file are written, as far as format and delimiter, those of the flags, do not say it. wanted are the columns that the
// objects of a jsonl file are cut into; nil: all keys of its first objects.
func findRows(ctx context.Context, path, format, delimiter string, wanted []string) (f *rowsFile, err error) {
	f = &rowsFile{path: path, wanted: wanted}
	if f.file, f.done, err = readable(ctx, path); err != nil {
		return nil, err
	}
	err = f.chooseFormat(format)
	switch {
	case err != nil:
	case f.format == "csv":
		err = f.chooseDelimiter(ctx, delimiter)
	case wanted == nil:
		f.wanted, err = f.keys(ctx)
	}
	if err != nil {
		f.done()
		return nil, err
	}
	return f, nil
}

// open opens the rows, at the first one.
func (f *rowsFile) open(ctx context.Context) (*rows, error) {
	return openRows(ctx, f.file, f.format, f.delimiter, f.wanted)
}

// readable is a file with what path holds that can be opened again and again: path itself, or a copy of what comes out of a pipe, until done.
func readable(ctx context.Context, path string) (file string, done func(), err error) {
	if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() || info.IsDir() {
		return path, func() {}, nil // what is wrong with it is said when it is opened
	}
	in, err := openFile(ctx, path)
	if err != nil {
		return "", nil, fmt.Errorf("cannot open rows: %w", err)
	}
	defer in.Close()
	kept, err := os.CreateTemp("", "dashi-rows-*")
	if err != nil {
		return "", nil, fmt.Errorf("cannot keep what comes out of %q: %w", path, err)
	}
	_, err = io.Copy(kept, &rows{ctx: ctx, file: in})
	if err = errors.Join(err, kept.Close()); err != nil {
		os.Remove(kept.Name())
		return "", nil, fmt.Errorf("cannot keep what comes out of %q: %w", path, err)
	}
	return kept.Name(), func() { os.Remove(kept.Name()) }, nil
}

// chooseFormat settles the format, by what was said or the name of the file.
func (f *rowsFile) chooseFormat(said string) error {
	base := strings.ToLower(strings.TrimSuffix(filepath.Base(f.path), ".gz"))
	switch {
	case said == "csv" || said == "jsonl":
		f.format = said
	case said != "":
		return fmt.Errorf("unknown --format %q: csv or jsonl", said)
	case strings.HasSuffix(base, ".jsonl") || strings.HasSuffix(base, ".ndjson") || strings.HasSuffix(base, ".json"):
		f.format = "jsonl"
	default:
		f.format = "csv"
	}
	return nil
}

// chooseDelimiter settles what stands between the columns of a csv file, by what was said or what the file holds.
func (f *rowsFile) chooseDelimiter(ctx context.Context, said string) error {
	switch d := strings.ReplaceAll(said, `\t`, "\t"); {
	case len(d) == 1:
		f.delimiter = rune(d[0])
		return nil
	case d != "":
		return fmt.Errorf("--delimiter is %q; wanted: one character", said)
	}
	// The header with the most columns under one of the usual delimiters.
	f.delimiter = ','
	most := 0
	for _, d := range []rune{',', ';', '\t', '|'} {
		rows, err := openRows(ctx, f.file, "csv", d, nil)
		if err != nil {
			var wrong *wrongFormat
			if errors.Is(err, os.ErrNotExist) || errors.As(err, &wrong) || ctx.Err() != nil {
				return err
			}
			continue
		}
		if len(rows.columns) > most {
			f.delimiter, most = d, len(rows.columns)
		}
		rows.Close()
	}
	return nil
}

// sampleRows show what columns hold and how dates are written.
const sampleRows = 1000

// keys are those at the top of the first objects of a jsonl file.
func (f *rowsFile) keys(ctx context.Context) ([]string, error) {
	rows, err := openRows(ctx, f.file, "jsonl", 0, []string{})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for range sampleRows {
		line, err := rows.nextLine()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read %q: %w", f.path, err)
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(line, &object) != nil {
			continue
		}
		for name := range object {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("cannot read %q: none of its first lines is a JSON object", f.path)
	}
	slices.Sort(names)
	return names, nil
}

// sample reads the first rows.
func (f *rowsFile) sample(ctx context.Context) (sample [][]string, header []string, err error) {
	rows, err := f.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for len(sample) < sampleRows {
		row, _, err := rows.Next()
		if err == io.EOF {
			break
		}
		var bad *badRow
		if errors.As(err, &bad) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read %q: %w", f.path, err)
		}
		sample = append(sample, slices.Clone(row))
	}
	return sample, rows.columns, nil
}
