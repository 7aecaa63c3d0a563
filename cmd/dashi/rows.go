package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"dashi/pipeline/recipe"
)

// rows reads a CSV or JSONL file, gzipped or not, row by row.
type rows struct {
	ctx     context.Context // ends what waits for a pipe
	file    *os.File
	size    int64        // of the file
	pipe    bool         // it can be read once only
	read    atomic.Int64 // bytes of the file, compressed if it is
	columns []string
	next    func() ([]string, error) // the row is good until the next call
	text    func() []byte            // the last row as a line
	lines   *bufio.Reader            // of a JSONL file
	line    int64
}

// Read counts the bytes of the file for the progress bar.
func (r *rows) Read(p []byte) (int, error) {
	n, err := await(r.ctx, "reading rows", func() (int, error) { return r.file.Read(p) })
	r.read.Add(int64(n))
	return n, err
}

// badRow is a row that cannot be read; the ones after it can.
type badRow struct{ err error }

func (b *badRow) Error() string { return b.err.Error() }

// maxRow bounds a line of a JSONL file.
const maxRow = 16 << 20

// openRows opens a file in the format csv or jsonl. wanted are the columns that a JSONL row is cut into.
func openRows(ctx context.Context, path, format string, delimiter rune, wanted []string) (*rows, error) {
	f, err := openFile(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("cannot open rows: %w", err)
	}
	r := &rows{ctx: ctx, file: f}
	if info, err := f.Stat(); err == nil {
		r.size, r.pipe = info.Size(), !info.Mode().IsRegular()
	}
	in := bufio.NewReaderSize(r, 1<<20)
	if magic, _ := in.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("cannot read %q as gzip: %w", path, err)
		}
		in = bufio.NewReaderSize(z, 1<<20)
	}
	if wanted != nil || format == "csv" {
		if err := checkFormat(path, format, in); err != nil {
			f.Close()
			return nil, err
		}
	}
	if format == "jsonl" {
		r.columns, r.lines = wanted, in
		r.next = r.jsonRow(wanted)
		return r, nil
	}
	c := csv.NewReader(in)
	c.ReuseRecord = true
	if delimiter != 0 {
		c.Comma = delimiter
	}
	header, err := c.Read()
	if err != nil {
		f.Close()
		if err == io.EOF {
			return nil, fmt.Errorf("%q is empty: the first line of a csv file names its columns", path)
		}
		return nil, fmt.Errorf("cannot read the header of %q: %w", path, err)
	}
	r.columns = append([]string(nil), header...)
	r.columns[0] = strings.TrimPrefix(r.columns[0], "\ufeff")
	r.line = 1
	var row []string
	r.text = func() []byte {
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.Comma = c.Comma
		_ = w.Write(row) // a Buffer takes all
		w.Flush()
		return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
	r.next = func() (_ []string, err error) {
		row, err = c.Read()
		if errors.Is(err, csv.ErrFieldCount) || errors.Is(err, csv.ErrQuote) || errors.Is(err, csv.ErrBareQuote) {
			return nil, &badRow{err}
		}
		return row, err
	}
	return r, nil
}

func (r *rows) jsonRow(wanted []string) func() ([]string, error) {
	row := make([]string, len(wanted))
	var line []byte
	r.text = func() []byte { return bytes.TrimSpace(line) }
	return func() (_ []string, err error) {
		for {
			if line, err = r.nextLine(); err != nil {
				return nil, err
			}
			if len(bytes.TrimSpace(line)) > 0 {
				break
			}
			r.line++
		}
		if err := recipe.ParseRow(line, wanted, row); err != nil {
			return nil, &badRow{err}
		}
		return row, nil
	}
}

// nextLine returns the next line of a JSONL file; io.EOF at the end. It does not count it.
func (r *rows) nextLine() ([]byte, error) {
	var line []byte
	for {
		part, err := r.lines.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxRow {
			return nil, fmt.Errorf("line %d is longer than %d MiB", r.line+1, maxRow>>20)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil && (err != io.EOF || len(line) == 0) {
			return nil, err
		}
		return line, nil
	}
}

// Next returns the next row and its line number; io.EOF at the end.
func (r *rows) Next() (row []string, line int64, err error) {
	row, err = r.next()
	if err == io.EOF {
		return nil, r.line, err
	}
	r.line++
	return row, r.line, err
}

func (r *rows) Close() { r.file.Close() }
