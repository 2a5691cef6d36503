package vm

// variable is a local variable of a function.
type variable struct {
	name     string
	slot     int
	captured bool // a closure uses it: it lives in a cell
}

// Expressions.
type (
	expression interface{}

	constExpr  struct{ v Value }
	varargExpr struct{}
	localExpr  struct{ v *variable }
	upvalExpr  struct {
		index int
		name  string
	}
	globalExpr struct {
		name string
		line int
	}
	indexExpr struct {
		object, key expression
		line, depth int
	}
	callExpr struct {
		fn     expression
		method string // "" if it is none
		args   []expression

		line, depth int
	}
	binaryExpr struct {
		op          string
		left, right expression
		line, depth int
	}
	unaryExpr struct {
		op          string
		operand     expression
		line, depth int
	}
	parenExpr struct { // cuts to one value
		inner expression
		depth int
	}
	tableExpr struct {
		items  []expression // t[1], t[2], ...
		keys   []expression
		values []expression
		order  []bool // which fields are items, in the order of the source

		line, depth int
	}
	functionExpr struct {
		f    *function
		line int
	}
)

// function is a function's source.
type function struct {
	parent   *function
	params   []*variable
	vararg   bool
	argTable *variable
	next     int // the first free register
	slots    int // registers in all
	upvalues []upvalue
	body     []statement
	hasDots  bool // the body uses ...
	active   []*variable
	loops    int
	line     int
}

// Statements.
type (
	statement interface{}

	localStmt struct {
		vars   []*variable
		values []expression
		line   int
	}
	assignStmt struct {
		targets []expression
		values  []expression
		line    int
	}
	callStmt  struct{ call *callExpr }
	doStmt    struct{ body []statement }
	whileStmt struct {
		cond expression
		body []statement
	}
	repeatStmt struct {
		body []statement
		cond expression
	}
	ifStmt struct {
		conds []expression
		thens [][]statement
		other []statement
	}
	numericFor struct {
		v                  *variable
		start, limit, step expression // step may be nil
		body               []statement
		line               int
	}
	genericFor struct {
		base   int // three hidden registers: function, state, control
		vars   []*variable
		values []expression
		body   []statement
		line   int
	}
	localFunction struct {
		v *variable
		f *functionExpr
	}
	returnStmt struct {
		values []expression
		line   int
	}
	breakStmt struct{}
)
