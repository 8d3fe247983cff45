package template

import (
	"fmt"
	"regexp"
)

// kind is what a variable outside of strings stands for.
type kind int

const (
	// number is a value such as a threshold.
	number kind = iota
	// quantile is a number between 0 and 1.
	quantile
	// digits are a part of a number or of a duration.
	digits
	// duration is a range or an offset.
	duration
	// resolution is the step of a subquery.
	resolution
	// unit is the letter behind the number of a duration.
	unit
	// name is a metric, a label, or a part of one.
	name
	// matcher is one of a selector, or several.
	matcher
	// quoted is the value of a matcher, quotes included.
	quoted
	// aggregator and ranger are functions of an instant and of a range vector.
	aggregator
	ranger
	// keyword is by or without.
	keyword
)

// stems are what all placeholders begin with, or hold: a text without any of them cannot be confused.
var stems = regexp.MustCompile(`70919|0d0h|m00s0|ambientplan_`)

// placeholder is what stands for the n-th use outside of strings. None is a part of another one, and the numbers are
// odd enough not to be written by people. Durations are near to what people choose, so that an expression with
// placeholders can be evaluated as it is.
func (k kind) placeholder(n int) string {
	switch k {
	case quantile:
		return fmt.Sprintf("0.950000070919%03d", n)
	case digits:
		return fmt.Sprintf("70919%03d", n)
	case duration:
		return fmt.Sprintf("0d0h5m0s%03dms", n)
	case resolution:
		return fmt.Sprintf("0d0h1m0s%03dms", n)
	case unit:
		return fmt.Sprintf("m00s0%03dms", n)
	case name:
		return fmt.Sprintf("ambientplan_%03d_var", n)
	case matcher:
		return fmt.Sprintf(`ambientplan_%03d_var=~".*"`, n)
	case quoted:
		return fmt.Sprintf(`"ambientplan_%03d_var"`, n)
	case aggregator:
		return fmt.Sprintf("sum #ambientplan_%03d_var\n", n)
	case ranger:
		return fmt.Sprintf("rate #ambientplan_%03d_var\n", n)
	case keyword:
		return fmt.Sprintf("by #ambientplan_%03d_var\n", n)
	case number:
	}
	return fmt.Sprintf("5.000000070919%03d", n)
}
