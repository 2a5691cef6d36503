package fsm

import (
	"math"
	"strconv"

	"phonond/redisproto/resp"
)

// score returns a double reply with the 17 digits that Redis 7.0 prints.
func score(f float64) resp.Value { return resp.Value{Kind: resp.Double, Str: formatScore(f)} }

func formatScore(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	return strconv.FormatFloat(f, 'g', 17, 64)
}

// formatNumber writes whole numbers as integers and others like a score.
func formatNumber(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < math.MaxInt64/2 {
		return strconv.FormatInt(int64(f), 10)
	}
	return formatScore(f)
}
