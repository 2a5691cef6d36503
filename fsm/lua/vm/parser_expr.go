package vm

// priorities of binary operators, to the left and to the right.
var priorities = map[string][2]int{
	"or": {1, 1}, "and": {2, 2},
	"<": {3, 3}, ">": {3, 3}, "<=": {3, 3}, ">=": {3, 3}, "~=": {3, 3}, "==": {3, 3},
	"..": {5, 4}, "+": {6, 6}, "-": {6, 6}, "*": {7, 7}, "/": {7, 7}, "%": {7, 7}, "^": {10, 9},
}

const unaryPriority = 8

func (p *parser) exprList() []expression {
	list := []expression{p.expr()}
	for p.accept(",") {
		list = append(list, p.expr())
	}
	return list
}

func (p *parser) expr() expression { return p.subExpr(0) }

// subExpr parses operators that bind tighter than a limit.
func (p *parser) subExpr(limit int) expression {
	p.enter()
	var left expression
	if p.is("not") || p.is("-") || p.is("#") {
		op := p.tok.text
		p.advance()
		operand := p.subExpr(unaryPriority)
		left = p.unary(op, operand)
	} else {
		left = p.simple()
	}
	for p.tok.kind == tokenWord || p.tok.kind == tokenSymbol {
		op := p.tok.text
		prio, ok := priorities[op]
		if !ok || prio[0] <= limit {
			break
		}
		p.advance()
		right := p.subExpr(prio[1])
		left = p.binary(op, left, right)
	}
	p.leave()
	return left
}

func (p *parser) unary(op string, operand expression) expression {
	if c, ok := operand.(*constExpr); ok && op == "-" {
		if f, ok := c.v.Number(); ok {
			return &constExpr{Num(-f)}
		}
	}
	return &unaryExpr{op, operand, p.lastLine, p.deeper(operand)}
}

// binary folds constants as the reference compiler does: not where the result would
// be none.
func (p *parser) binary(op string, left, right expression) expression {
	l, okl := left.(*constExpr)
	r, okr := right.(*constExpr)
	if okl && okr {
		a, oka := l.v.Number()
		b, okb := r.v.Number()
		if fold := foldable[op]; oka && okb && fold != nil && !(b == 0 && (op == "/" || op == "%")) {
			if f := fold.fn(a, b); f == f {
				return &constExpr{Num(f)}
			}
		}
	}
	return &binaryExpr{op, left, right, p.lastLine, p.deeper(left, right)}
}

var foldable = map[string]*arithOp{"+": opAdd, "-": opSub, "*": opMul, "/": opDiv, "%": opMod, "^": opPow}

func (p *parser) simple() expression {
	switch p.tok.kind {
	case tokenNumber:
		f := p.tok.num
		p.advance()
		return &constExpr{Num(f)}
	case tokenString:
		s := p.tok.text
		p.advance()
		return &constExpr{Const(s)}
	}
	switch {
	case p.accept("nil"):
		return &constExpr{}
	case p.accept("true"):
		return &constExpr{Bool(true)}
	case p.accept("false"):
		return &constExpr{Bool(false)}
	case p.is("..."):
		if !p.fn.vararg {
			p.syntax("cannot use '...' outside a vararg function")
		}
		p.fn.hasDots = true
		p.advance()
		return &varargExpr{}
	case p.is("{"):
		return p.table()
	case p.is("function"):
		line := p.tok.line
		p.advance()
		return p.functionBody(false, line)
	}
	return p.suffixed()
}

func (p *parser) primary() expression {
	switch {
	case p.is("("):
		line := p.tok.line
		p.advance()
		e := p.expr()
		p.match(")", "(", line)
		return &parenExpr{e, p.deeper(e)}
	case p.tok.kind == tokenName:
		name := p.name()
		return p.resolve(name, p.lastLine)
	}
	p.syntax("unexpected symbol")
	return nil
}

// suffixed parses a variable, a call or what is in parentheses.
func (p *parser) suffixed() expression {
	e := p.primary()
	for {
		switch {
		case p.accept("."):
			e = p.index(e, &constExpr{Const(p.name())})
		case p.accept("["):
			key := p.expr()
			p.expect("]")
			e = p.index(e, key)
		case p.accept(":"):
			e = p.call(e, p.name())
		case p.is("(") || p.is("{") || p.tok.kind == tokenString:
			e = p.call(e, "")
		default:
			return e
		}
	}
}

func (p *parser) call(fn expression, method string) expression {
	line := p.tok.line
	var args []expression
	switch {
	case p.tok.kind == tokenString:
		args = []expression{&constExpr{Const(p.tok.text)}}
		p.advance()
	case p.is("{"):
		args = []expression{p.table()}
	case p.is("("):
		if line != p.lastLine {
			p.syntax("ambiguous syntax (function call x new statement)")
		}
		p.advance()
		if !p.is(")") {
			args = p.exprList()
		}
		p.match(")", "(", line)
		if len(args) > 0 {
			p.settle(args[len(args)-1])
		}
	default:
		p.syntax("function arguments expected")
	}
	return &callExpr{fn, method, args, line, max(p.deeper(fn), p.deeper(args...))}
}

func (p *parser) table() expression {
	line := p.tok.line
	p.expect("{")
	t := &tableExpr{line: line}
	for !p.is("}") {
		switch {
		case p.tok.kind == tokenName && p.lookahead().text == "=" && p.lookahead().kind == tokenSymbol:
			key := &constExpr{Const(p.name())}
			p.advance()
			t.field(key, p.expr())
		case p.is("["):
			p.advance()
			key := p.expr()
			p.expect("]")
			p.expect("=")
			t.field(key, p.expr())
		default:
			t.items = append(t.items, p.expr())
			t.order = append(t.order, true)
		}
		if !p.accept(",") && !p.accept(";") {
			break
		}
	}
	p.match("}", "{", line)
	if n := len(t.order); n > 0 && t.order[n-1] {
		p.settle(t.items[len(t.items)-1])
	}
	t.depth = max(p.deeper(t.items...), p.deeper(t.keys...), p.deeper(t.values...))
	return t
}

func (t *tableExpr) field(key, value expression) {
	t.keys = append(t.keys, key)
	t.values = append(t.values, value)
	t.order = append(t.order, false)
}

// functionBody parses parameters and body; the word function has been read.
func (p *parser) functionBody(method bool, line int) *functionExpr {
	f := &function{parent: p.fn, line: line}
	p.fn = f
	p.expect("(")
	if method {
		f.params = append(f.params, p.declare("self"))
	}
	for !p.is(")") {
		if p.accept("...") {
			f.vararg = true
			break
		}
		f.params = append(f.params, p.declare(p.name()))
		if !p.accept(",") {
			break
		}
		if !p.is("...") && p.tok.kind != tokenName {
			p.syntax("<name> or '...' expected")
		}
	}
	if f.vararg {
		f.argTable = p.declare("arg")
	}
	p.expect(")")
	f.body = p.block()
	p.match("end", "function", line)
	if f.hasDots {
		f.argTable = nil
	}
	p.fn = f.parent
	return &functionExpr{f, p.lastLine}
}

func (p *parser) index(object, key expression) expression {
	return &indexExpr{object, key, p.lastLine, p.deeper(object, key)}
}

// deeper is the depth of an expression made of others. It bounds the recursion of
// what works on the tree; levels of the source do not, as operators that bind to the
// left nest without any.
func (p *parser) deeper(parts ...expression) int {
	depth := 0
	for _, e := range parts {
		depth = max(depth, depthOf(e))
	}
	if depth >= maxChain {
		p.fail("", "chunk has too many syntax levels")
	}
	return depth + 1
}

func depthOf(e expression) int {
	switch e := e.(type) {
	case *indexExpr:
		return e.depth
	case *callExpr:
		return e.depth
	case *binaryExpr:
		return e.depth
	case *unaryExpr:
		return e.depth
	case *parenExpr:
		return e.depth
	case *tableExpr:
		return e.depth
	}
	return 0
}

// settle gives a variable the line of the token before: the reference compiler reads
// the last one of a list when it has seen the list's end.
func (p *parser) settle(e expression) {
	switch e := e.(type) {
	case *globalExpr:
		e.line = p.lastLine
	case *indexExpr:
		e.line = p.lastLine
	}
}
