package redisproto

import (
	"context"
	"maps"
	"slices"
	"strings"

	"phonond/redisproto/glob"
	"phonond/redisproto/resp"
)

// CONFIG GET pattern [pattern ...]
func configGet(c *Client, args [][]byte) resp.Value {
	found := map[string]Setting{} // by the name as the client asked for it, if it is no pattern
	for _, arg := range args[2:] {
		asked, lower := string(arg), strings.ToLower(string(arg))
		if !strings.ContainsAny(asked, "[*?") {
			if setting, ok := c.srv.settings[lower]; ok {
				found[asked] = setting
			}
			continue
		}
		for name, setting := range c.srv.settings {
			if glob.Match(lower, name) {
				found[name] = setting
			}
		}
	}
	var pairs []resp.Value
	for _, name := range slices.Sorted(maps.Keys(found)) {
		pairs = append(pairs, resp.Str(name), resp.Str(found[name].Get()))
	}
	return resp.Pairs(pairs...)
}

// CONFIG SET name value [name value ...]
//
// Either all of the values are good and put into force, or none is.
func configSet(c *Client, args [][]byte) resp.Value {
	if len(args)%2 != 0 {
		return resp.ErrSyntax
	}
	seen := map[string]bool{}
	failed := func(name, why string) resp.Value {
		return resp.Err("ERR CONFIG SET failed (possibly related to argument '" + name + "') - " + oneLine.Replace(why))
	}
	// The order of the checks is Redis's: first what can be said without the values.
	for i := 2; i < len(args); i += 2 {
		name := strings.ToLower(string(args[i]))
		s, ok := c.srv.settings[name]
		switch {
		case !ok:
			return resp.Err("ERR Unknown option or number of arguments for CONFIG SET - " + quoted(args[i]))
		case s.Set == nil:
			return failed(name, "can't set immutable config")
		case seen[name]:
			return failed(name, "duplicate parameter")
		}
		seen[name] = true
	}
	var applies []func(context.Context) error
	for i := 2; i < len(args); i += 2 {
		name := strings.ToLower(string(args[i]))
		apply, err := c.srv.settings[name].Set(string(args[i+1]))
		if err != nil {
			return failed(name, err.Error())
		}
		applies = append(applies, apply)
	}
	for i, apply := range applies {
		if err := apply(c.ctx); err != nil {
			return failed(strings.ToLower(string(args[2+2*i])), err.Error())
		}
	}
	return resp.OK
}

// CONFIG REWRITE
func configRewrite(*Client, [][]byte) resp.Value {
	return resp.Err("ERR The server is running without a config file")
}

// CONFIG RESETSTAT
func configResetStat(c *Client, _ [][]byte) resp.Value {
	c.srv.stats.reset()
	c.srv.meter.reset()
	if c.srv.cfg.ResetStats != nil {
		c.srv.cfg.ResetStats()
	}
	return resp.OK
}
