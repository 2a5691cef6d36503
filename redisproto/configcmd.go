package redisproto

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"phonond/redisproto/glob"
	"phonond/redisproto/resp"
)

// settings returns what CONFIG GET shows, under Redis's names. Passwords are
// not among it.
func (s *Server) settings() map[string]string {
	protected := "no"
	if s.cfg.Protected {
		protected = "yes"
	}
	all := map[string]string{
		"databases":                 strconv.Itoa(s.cfg.Databases),
		"maxclients":                strconv.Itoa(s.cfg.MaxClients),
		"timeout":                   strconv.Itoa(int(s.cfg.IdleTimeout / time.Second)),
		"proto-max-bulk-len":        strconv.Itoa(s.cfg.MaxBulk),
		"client-query-buffer-limit": strconv.Itoa(s.cfg.MaxQuery),
		"protected-mode":            protected,
	}
	if s.cfg.Settings != nil {
		maps.Copy(all, s.cfg.Settings())
	}
	return all
}

// CONFIG GET pattern [pattern ...]
func configGet(c *Client, args [][]byte) resp.Value {
	all := c.srv.settings()
	patterns := make([]string, 0, len(args)-2)
	for _, arg := range args[2:] {
		patterns = append(patterns, strings.ToLower(string(arg)))
	}
	var pairs []resp.Value
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if slices.ContainsFunc(patterns, func(p string) bool { return glob.Match(p, name) }) {
			pairs = append(pairs, resp.Str(name), resp.Str(all[name]))
		}
	}
	return resp.Pairs(pairs...)
}

// CONFIG SET name value [name value ...]
func configSet(c *Client, args [][]byte) resp.Value {
	if len(args)%2 != 0 {
		return resp.ErrSyntax
	}
	all := c.srv.settings()
	for i := 2; i < len(args); i += 2 {
		if _, ok := all[strings.ToLower(string(args[i]))]; !ok {
			return resp.Err("ERR Unknown option or number of arguments for CONFIG SET - " + quoted(args[i]))
		}
	}
	return resp.Err("ERR CONFIG SET failed (possibly related to argument " + quoted(args[2]) +
		") - settings are given when the server starts")
}

// CONFIG REWRITE
func configRewrite(*Client, [][]byte) resp.Value {
	return resp.Err("ERR The server is running without a config file")
}

// CONFIG RESETSTAT
func configResetStat(c *Client, _ [][]byte) resp.Value {
	c.srv.stats.reset()
	if c.srv.cfg.ResetStats != nil {
		c.srv.cfg.ResetStats()
	}
	return resp.OK
}
