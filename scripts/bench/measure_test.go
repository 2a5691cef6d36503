package main

import "testing"

func TestParseCSV(t *testing.T) {
	const head = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"` + "\n"
	got, err := parseCSV(head + `"SET","20000.50","0.400","0.100","0.350","0.700","1.250","3.000"` + "\n")
	if want := (result{20000.5, 0.35, 1.25}); err != nil || got != want {
		t.Errorf("%v, %v, not %v", got, err, want)
	}
	for name, out := range map[string]string{
		"nothing":       "",
		"names only":    head,
		"an error":      "Error from server: ERR unknown command\n",
		"no number":     head + `"SET","fast","0.4","0.1","0.35","0.7","1.25","3.0"`,
		"no rate":       head + `"SET","0","0.4","0.1","0.35","0.7","1.25","3.0"`,
		"too few words": head + `"SET","1"`,
	} {
		if r, err := parseCSV(out); err == nil {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func TestMedian(t *testing.T) {
	if r := median([]result{{rate: 3}, {rate: 1}, {rate: 2}}); r.rate != 2 {
		t.Errorf("%v", r)
	}
}
