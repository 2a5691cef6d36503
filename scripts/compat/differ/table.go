package differ

// Table is all the differences there are.
var Table = []Difference{}
