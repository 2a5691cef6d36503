package vm

// Bounds of the reference implementation, which also bound the recursion of parser
// and compiler.
const (
	maxLevels   = 200
	maxChain    = 1000 // operators in a row; the reference has no limit
	maxLocals   = 200
	maxUpvalues = 60
)

type parser struct {
	lexer
	tok      token
	ahead    token
	hasAhead bool
	lastLine int // of the token before tok
	levels   int
	fn       *function
}

// parse reads a chunk.
func parse(chunk, src string) *function {
	p := &parser{lexer: lexer{chunk: chunk, src: src, line: 1}}
	p.fn = &function{vararg: true}
	p.advance()
	p.fn.body = p.block()
	if p.tok.kind != tokenEOF {
		p.expected("<eof>")
	}
	return p.fn
}

func (p *parser) advance() {
	p.lastLine = p.tok.line
	if p.hasAhead {
		p.tok, p.hasAhead = p.ahead, false
		return
	}
	p.tok = p.lexer.next()
}

func (p *parser) lookahead() token {
	if !p.hasAhead {
		p.ahead, p.hasAhead = p.lexer.next(), true
	}
	return p.ahead
}

// is reports whether the token is a given word or symbol.
func (p *parser) is(text string) bool {
	return p.tok.text == text && (p.tok.kind == tokenWord || p.tok.kind == tokenSymbol)
}

func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) syntax(msg string) { p.fail(p.tok.raw, "%s", msg) }

func (p *parser) expected(what string) { p.syntax("'" + what + "' expected") }

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.expected(text)
	}
}

// match expects what closes a construct that was opened on a line.
func (p *parser) match(closing, opening string, line int) {
	if p.accept(closing) {
		return
	}
	if line == p.tok.line {
		p.expected(closing)
	}
	p.fail(p.tok.raw, "'%s' expected (to close '%s' at line %d)", closing, opening, line)
}

func (p *parser) name() string {
	if p.tok.kind != tokenName {
		p.expected("<name>")
	}
	name := p.tok.text
	p.advance()
	return name
}

func (p *parser) enter() {
	if p.levels++; p.levels > maxLevels {
		p.fail("", "chunk has too many syntax levels")
	}
}

func (p *parser) leave() { p.levels-- }

// tooMany raises that a function has more of something than it may.
func (p *parser) tooMany(what string, limit int) {
	if p.fn.line == 0 {
		p.fail("", "main function has more than %d %s", limit, what)
	}
	p.fail("", "function at line %d has more than %d %s", p.fn.line, limit, what)
}

// declare makes a variable that is visible from now on.
func (p *parser) declare(name string) *variable {
	v := p.hidden(name)
	p.fn.active = append(p.fn.active, v)
	return v
}

// hidden makes a variable's register without making it visible.
func (p *parser) hidden(name string) *variable {
	if len(p.fn.active) >= maxLocals {
		p.tooMany("local variables", maxLocals)
	}
	v := &variable{name: name, slot: p.fn.next}
	p.fn.next++
	p.fn.slots = max(p.fn.slots, p.fn.next)
	return v
}

// resolve finds what a name stands for.
func (p *parser) resolve(name string, line int) expression {
	if v := p.fn.local(name); v != nil {
		return &localExpr{v}
	}
	if i := p.upvalue(p.fn, name); i >= 0 {
		return &upvalExpr{i, name}
	}
	return &globalExpr{name, line}
}

func (f *function) local(name string) *variable {
	for i := len(f.active) - 1; i >= 0; i-- {
		if f.active[i].name == name {
			return f.active[i]
		}
	}
	return nil
}

// upvalue finds a variable of the functions around f, -1 if they have none.
func (p *parser) upvalue(f *function, name string) int {
	if f.parent == nil {
		return -1
	}
	up := upvalue{name: name}
	if v := f.parent.local(name); v != nil {
		v.captured = true
		up.local, up.index = true, v.slot
	} else if up.index = p.upvalue(f.parent, name); up.index < 0 {
		return -1
	}
	for i, u := range f.upvalues {
		if u == up {
			return i
		}
	}
	if len(f.upvalues) >= maxUpvalues {
		p.tooMany("upvalues", maxUpvalues)
	}
	f.upvalues = append(f.upvalues, up)
	return len(f.upvalues) - 1
}

// scope parses a block whose variables end with it.
func (p *parser) scope() []statement {
	end := p.open()
	body := p.block()
	end()
	return body
}

// open begins a scope; what it returns ends it.
func (p *parser) open() (end func()) {
	f, n, next := p.fn, len(p.fn.active), p.fn.next
	return func() { f.active, f.next = f.active[:n], next }
}

func (p *parser) blockEnds() bool {
	if p.tok.kind == tokenEOF {
		return true
	}
	return p.is("else") || p.is("elseif") || p.is("end") || p.is("until")
}

func (p *parser) block() (body []statement) {
	p.enter()
	for last := false; !last && !p.blockEnds(); {
		last = p.is("return") || p.is("break")
		body = append(body, p.statement())
		p.accept(";")
	}
	p.leave()
	return body
}

func (p *parser) statement() statement {
	line := p.tok.line
	if p.tok.kind != tokenWord {
		return p.exprStatement()
	}
	switch p.tok.text {
	case "if":
		return p.ifStatement(line)
	case "while":
		p.advance()
		cond := p.expr()
		p.expect("do")
		body := p.loopBody(p.scope)
		p.match("end", "while", line)
		return &whileStmt{cond, body}
	case "do":
		p.advance()
		body := p.scope()
		p.match("end", "do", line)
		return &doStmt{body}
	case "for":
		return p.forStatement(line)
	case "repeat":
		p.advance()
		end := p.open()
		body := p.loopBody(p.block)
		p.match("until", "repeat", line)
		cond := p.expr()
		end()
		return &repeatStmt{body, cond}
	case "function":
		return p.functionStatement(line)
	case "local":
		p.advance()
		if p.accept("function") {
			v := p.declare(p.name())
			return &localFunction{v, p.functionBody(false, line)}
		}
		return p.localStatement(line)
	case "return":
		return p.returnStatement(line)
	case "break":
		p.advance()
		if p.fn.loops == 0 {
			p.fail(p.tok.raw, "no loop to break")
		}
		return &breakStmt{}
	}
	return p.exprStatement()
}

func (p *parser) loopBody(parse func() []statement) []statement {
	p.fn.loops++
	body := parse()
	p.fn.loops--
	return body
}

func (p *parser) ifStatement(line int) statement {
	s := &ifStmt{}
	for {
		p.advance() // if, elseif
		s.conds = append(s.conds, p.expr())
		p.expect("then")
		s.thens = append(s.thens, p.scope())
		if !p.is("elseif") {
			break
		}
	}
	if p.accept("else") {
		s.other = p.scope()
	}
	p.match("end", "if", line)
	return s
}

func (p *parser) forStatement(line int) statement {
	p.advance()
	end := p.open()
	first := p.name()
	var s statement
	switch {
	case p.is("="):
		p.advance()
		f := &numericFor{line: line}
		f.start = p.expr()
		p.expect(",")
		f.limit = p.expr()
		if p.accept(",") {
			f.step = p.expr()
		}
		p.expect("do")
		f.v = p.declare(first)
		f.body = p.loopBody(p.scope)
		s = f
	case p.is(",") || p.is("in"):
		names := []string{first}
		for p.accept(",") {
			names = append(names, p.name())
		}
		p.expect("in")
		f := &genericFor{line: p.tok.line}
		f.values = p.exprList()
		p.expect("do")
		f.base = p.hidden("(for generator)").slot
		p.hidden("(for state)")
		p.hidden("(for control)")
		for _, name := range names {
			f.vars = append(f.vars, p.declare(name))
		}
		f.body = p.loopBody(p.scope)
		s = f
	default:
		p.syntax("'=' or 'in' expected")
	}
	p.match("end", "for", line)
	end()
	return s
}

func (p *parser) functionStatement(line int) statement {
	p.advance()
	target := p.resolve(p.name(), p.lastLine)
	method := false
	for p.is(".") || p.is(":") {
		method = p.is(":")
		p.advance()
		target = p.index(target, &constExpr{Const(p.name())})
		if method {
			break
		}
	}
	f := p.functionBody(method, line)
	return &assignStmt{[]expression{target}, []expression{f}, line}
}

func (p *parser) localStatement(line int) statement {
	names := []string{p.name()}
	for p.accept(",") {
		names = append(names, p.name())
	}
	s := &localStmt{line: line}
	if p.accept("=") {
		s.values = p.exprList()
	}
	for _, name := range names {
		s.vars = append(s.vars, p.declare(name))
	}
	return s
}

func (p *parser) returnStatement(line int) statement {
	p.advance()
	s := &returnStmt{line: line}
	if !p.blockEnds() && !p.is(";") {
		s.values = p.exprList()
	}
	return s
}

func (p *parser) exprStatement() statement {
	line := p.tok.line
	e := p.suffixed()
	if call, ok := e.(*callExpr); ok {
		return &callStmt{call}
	}
	targets := []expression{e}
	for {
		switch targets[len(targets)-1].(type) {
		case *localExpr, *upvalExpr, *globalExpr, *indexExpr:
		default:
			p.syntax("syntax error")
		}
		if !p.accept(",") {
			break
		}
		if len(targets) >= maxLevels {
			p.tooMany("variables in assignment", maxLevels)
		}
		targets = append(targets, p.suffixed())
	}
	p.expect("=")
	return &assignStmt{targets, p.exprList(), line}
}
