// Package facts is how a Go check program speaks: `ok - fact` or `not ok - fact`, as ci/lib/checks.sh does.
package facts

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// Limit is how long anything may take that a check waits for.
const Limit = 60 * time.Second

const lookAgain = 20 * time.Millisecond

// Check is a fact and what it rests on; the body fails by calling one of the functions below.
type Check struct {
	Fact string
	Body func(broker string)
}

// Failure is what a check throws.
type failure struct{ reason string }

// Main runs the checks in order against the broker named on the command line and ends the process.
func Main(banner string, checks []Check) {
	if len(os.Args) != 2 || !strings.Contains(os.Args[1], ":") {
		fmt.Fprintf(os.Stderr, "usage: %s HOST:PORT\n", os.Args[0])
		os.Exit(2)
	}
	fmt.Printf("# %s\n", banner)
	failed := 0
	for _, check := range checks {
		if err := run(check, os.Args[1]); err != nil {
			failed++
			fmt.Printf("not ok - %s\n    %s\n", check.Fact, strings.ReplaceAll(err.Error(), "\n", "\n    "))
		} else {
			fmt.Printf("ok - %s\n", check.Fact)
		}
	}
	if len(checks) == 0 {
		fmt.Println("not ok - checked nothing")
	}
	if failed > 0 || len(checks) == 0 {
		os.Exit(1)
	}
}

func run(check Check, broker string) (err error) {
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case failure:
			err = errors.New(thrown.reason)
		default:
			err = fmt.Errorf("%v\n%s", thrown, debug.Stack())
		}
	}()
	check.Body(broker)
	return nil
}

// Fail ends the check.
func Fail(format string, values ...any) { panic(failure{fmt.Sprintf(format, values...)}) }

// Must ends the check if there is an error.
func Must(what string, err error) {
	if err != nil {
		Fail("%s: %v", what, err)
	}
}

// Refused ends the check unless the error is the expected one.
func Refused(what string, expected, err error) {
	if !errors.Is(err, expected) {
		Fail("%s: expected the error %v, got %v", what, expected, err)
	}
}

// Same ends the check unless both are equal.
func Same[T comparable](what string, expected, actual T) {
	if expected != actual {
		Fail("%s: expected %v, got %v", what, expected, actual)
	}
}

// Await asks until the answer is yes; for what can only be observed from outside.
func Await(what string, question func() bool) {
	for deadline := time.Now().Add(Limit); !question(); time.Sleep(lookAgain) {
		if time.Now().After(deadline) {
			Fail("waited in vain: %s", what)
		}
	}
}

// Fresh is a name that no earlier run on the same broker used.
func Fresh(name string) string {
	return fmt.Sprintf("%s-%d-%d", name, time.Now().UnixNano()%1e11, rand.IntN(100_000))
}

// Value is the value of a numbered record: partly compressible, of different lengths.
func Value(number int) string {
	return fmt.Sprintf("%06d %x ", number, uint32(number)*2654435761) + strings.Repeat("highwater ", number%20)
}

// Tally counts how often each record came.
type Tally map[string]int

// OnceEach ends the check unless each of the records from up to to came, and once.
func (tally Tally) OnceEach(what string, from, to int) {
	for number := from; number < to; number++ {
		if count := tally[Value(number)]; count != 1 {
			Fail("%s: record %d came %d times", what, number, count)
		}
	}
	Same(what+": different records", to-from, len(tally))
}
