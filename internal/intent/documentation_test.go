package intent_test

import (
	"os"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

func TestGivenTheDocumentationWhenReadThenItExplainsEveryRuleOnceAndNoOther(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration-problems.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[intent.Rule]int{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) == 5 && strings.Contains(" invalid unresolved conflict warning ", cells[2]) {
			documented[intent.Rule(strings.Trim(cells[1], " `"))]++
		}
	}
	for _, rule := range intent.Rules() {
		if documented[rule] != 1 {
			t.Errorf("rule %s has %d rows", rule, documented[rule])
		}
		delete(documented, rule)
	}
	for rule := range documented {
		t.Errorf("there is no rule %s", rule)
	}
}
