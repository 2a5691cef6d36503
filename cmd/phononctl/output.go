package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// printer writes results, as tables for people or as JSON for programs.
type printer struct {
	w    io.Writer
	json bool
}

// view writes v as JSON, or the table that rows makes of it.
func (p printer) view(v any, header []string, rows func() [][]string) error {
	if p.json {
		enc := json.NewEncoder(p.w)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	return p.table(header, rows())
}

// table writes aligned columns, without spaces at the ends of lines. An empty
// cell is a dash, as a line must be easy to cut into fields.
func (p printer) table(header []string, rows [][]string) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if header != nil {
		fmt.Fprintln(t, strings.Join(header, "\t"))
	}
	for _, row := range rows {
		for i, cell := range row {
			if cell == "" {
				cell = "-"
			}
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, clean(cell))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}

// clean keeps what came from the network from moving the cursor or the columns.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
