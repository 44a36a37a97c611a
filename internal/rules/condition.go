package rules

import (
	"fmt"
	"reflect"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"touchstone.dev/touchstone"
)

// A condition of a custom rule is written in CEL (the Common Expression
// Language) over the words of the root package, whose JSON names are its fields.
// It says when the rule fails.
//
// There is no "now": a condition that reads a clock would answer differently at
// every gate and could not be replayed, and Decision.Until could not say how
// long the answer holds. The rules about age (image-age, fix-available-for,
// stale-advisories) and "from" have a clock that Decide knows of.

// costLimit bounds the work of one evaluation in CEL's own units, about one per
// operation. It is a bound in work and not in time, so that the same case gives
// the same outcome on a slow machine; reaching it takes about half a second. To
// walk 1,000 packages costs some 5,000.
const costLimit = 5_000_000

// The limits of a condition's text, in characters and nodes.
const (
	conditionSize  = 8 << 10
	conditionNodes = 4 << 10
	conditionDepth = 100
	regexSize      = 4 << 10
	rangeSize      = 10_000
)

// Variable is one name that a condition may use.
type Variable struct {
	Name  string
	Type  string // as CEL writes it: "list(touchstone.Match)"
	About string
	cel   *cel.Type
	value func(*touchstone.Case) any
}

// Variables returns what a condition may look at.
func Variables() []Variable {
	object := func(name string) *cel.Type { return cel.ObjectType("touchstone." + name) }
	list := []Variable{
		{Name: "artifact", About: "what is judged, under the name that it was given", cel: object("Artifact"),
			value: func(c *touchstone.Case) any { return &c.Artifact }},
		{Name: "evidence", About: "everything found inside", cel: object("Evidence"),
			value: func(c *touchstone.Case) any { return c.Evidence }},
		{Name: "matches", About: "the vulnerabilities that fit its packages, also those that do not apply", cel: cel.ListType(object("Match")),
			value: func(c *touchstone.Case) any { return c.Knowledge.Matches }},
		{Name: "upgrades", About: "the versions that mend them", cel: cel.ListType(object("Upgrade")),
			value: func(c *touchstone.Case) any { return c.Knowledge.Upgrades }},
		{Name: "coverage", About: "which ecosystems the advisories cover", cel: cel.ListType(object("Coverage")),
			value: func(c *touchstone.Case) any { return c.Knowledge.Coverage }},
		{Name: "index", About: "which advisories were asked", cel: object("IndexState"),
			value: func(c *touchstone.Case) any { return &c.Knowledge.Index }},
		{Name: "lineage", About: "the golden base that it stands on", cel: object("Lineage"),
			value: func(c *touchstone.Case) any { return &c.Knowledge.Lineage }},
		{Name: "place", About: "where it is to run", cel: object("Place"),
			value: func(c *touchstone.Case) any { return &c.Question.Place }},
		{Name: "occasion", About: "why the decision is asked for: check, promote, admit, restart, running", cel: cel.StringType,
			value: func(c *touchstone.Case) any { return string(c.Question.Occasion) }},
		{Name: "workload", About: "what keeps it running, and which container of that; empty on a check and a promotion", cel: object("Workload"),
			value: func(c *touchstone.Case) any { return &c.Question.Workload }},
		{Name: "settings", About: "what the workload sets for its container: user, command, capabilities, privileged, host", cel: object("Settings"),
			value: func(c *touchstone.Case) any { return &c.Question.Settings }},
		{Name: "user", About: "the user that it would run as: the workload's setting, else the image's", cel: cel.StringType,
			value: func(c *touchstone.Case) any { return c.User() }},
	}
	for i := range list {
		list[i].Type = cel.FormatCELType(list[i].cel)
	}
	return list
}

// conditionTypes are the words that a condition starts from; the types of their
// fields come with them.
func conditionTypes() []any {
	return []any{
		reflect.TypeFor[touchstone.Artifact](), reflect.TypeFor[touchstone.Evidence](), reflect.TypeFor[touchstone.Match](),
		reflect.TypeFor[touchstone.Upgrade](), reflect.TypeFor[touchstone.Coverage](), reflect.TypeFor[touchstone.IndexState](),
		reflect.TypeFor[touchstone.Lineage](), reflect.TypeFor[touchstone.Place](),
		reflect.TypeFor[touchstone.Workload](), reflect.TypeFor[touchstone.Settings](),
	}
}

// newEnvironment returns the language of conditions.
func newEnvironment() (*cel.Env, error) {
	options := []cel.EnvOption{
		ext.NativeTypes(append(conditionTypes(), ext.ParseStructTag("json"))...),
		cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Lists(ext.ListsMaxRangeSize(rangeSize)), ext.Regex(),
		cel.CrossTypeNumericComparisons(true), // score >= 7 and score >= 7.0 are the same to people
		cel.ParserExpressionSizeLimit(conditionSize), cel.ExpressionNodeLimit(conditionNodes),
		cel.ParserRecursionLimit(conditionDepth), cel.RegexProgramSizeLimit(regexSize),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals()),
	}
	for _, v := range Variables() {
		options = append(options, cel.Variable(v.Name, v.cel))
	}
	return cel.NewEnv(options...)
}

// compiled is the condition of a custom rule, ready to be asked. It may be asked
// by many at once.
type compiled struct {
	text    string // as the file has it
	program cel.Program
	values  map[string]func(*touchstone.Case) any
}

// Holds implements touchstone.Condition.
func (c *compiled) Holds(of *touchstone.Case) (holds bool, err error) {
	if of.Evidence == nil {
		return false, fmt.Errorf("the artifact was never inspected")
	}
	out, _, err := c.program.Eval(&view{of, c.values})
	if err != nil {
		return false, evaluation(err)
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the condition gave %s instead of true or false", Printable(out.Type().TypeName()))
	}
	return bool(b), nil
}

// evaluation says in our words why an evaluation failed.
func evaluation(err error) error {
	s := err.Error()
	if strings.Contains(s, "cost limit exceeded") {
		s = "it takes more work than a condition may"
	}
	return fmt.Errorf("%s", Printable(s))
}

// view lets a condition see a case, and nothing of it that it does not name.
type view struct {
	of     *touchstone.Case
	values map[string]func(*touchstone.Case) any
}

// ResolveName implements cel.Activation.
func (v *view) ResolveName(name string) (any, bool) {
	value, ok := v.values[name]
	if !ok {
		return nil, false
	}
	return value(v.of), true
}

// Parent implements cel.Activation.
func (v *view) Parent() cel.Activation { return nil }

// condition compiles the text of a node, and notes each fault at its own line and
// column.
func (l *loader) condition(n *node) touchstone.Condition {
	if _, ok := l.word(n, "when"); !ok {
		return nil
	}
	if l.cel == nil {
		env, err := newEnvironment()
		if err != nil {
			l.fault(n, "the language of conditions could not be set up: "+err.Error(), "")
			return nil
		}
		l.cel = env
	}
	parsed, issues := l.cel.Parse(n.text)
	if issues.Err() != nil {
		l.miscompiled(n, nil, issues)
		return nil
	}
	checked, issues := l.cel.Check(parsed)
	if issues.Err() != nil {
		l.miscompiled(n, parsed, issues)
		return nil
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) {
		l.fault(n, "a condition must be true or false, and this is "+cel.FormatCELType(t), resultHint(t))
		return nil
	}
	program, err := l.cel.Program(checked, cel.CostLimit(costLimit), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		l.fault(n, "the condition cannot be prepared: "+err.Error(), "")
		return nil
	}
	values := map[string]func(*touchstone.Case) any{}
	for _, v := range Variables() {
		values[v.Name] = v.value
	}
	return &compiled{strings.Join(strings.Fields(n.text), " "), program, values}
}

func resultHint(t *cel.Type) string {
	switch t.Kind() {
	case types.ListKind, types.MapKind:
		return "to fail when it is not empty, add .size() > 0"
	case types.StringKind:
		return `compare it with something: == "…"`
	case types.IntKind, types.DoubleKind:
		return "compare it with a number: > 0"
	default:
		return ""
	}
}
