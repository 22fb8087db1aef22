package modbus

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func show(blocks []Block) string {
	var b strings.Builder
	for _, block := range blocks {
		fmt.Fprintf(&b, "%s %v; ", block, block.Items)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func TestPlan(t *testing.T) {
	t.Parallel()
	floats := func(addresses ...uint16) (items []Item) {
		for _, a := range addresses {
			items = append(items, Item{Input, a, 2})
		}
		return items
	}
	var many []Item
	for i := range 130 {
		many = append(many, Item{Holding, uint16(i), 1})
	}
	for name, c := range map[string]struct {
		items     []Item
		gap, most int
		want      string
	}{
		"adjacent":             {floats(2, 0, 4), 0, 125, "input:0 to 5 [1 0 2]"},
		"apart":                {floats(0, 6, 12), 0, 125, "input:0 to 1 [0]; input:6 to 7 [1]; input:12 to 13 [2]"},
		"apart, with a gap":    {floats(0, 6, 12, 70), 4, 125, "input:0 to 13 [0 1 2]; input:70 to 71 [3]"},
		"a gap too wide":       {floats(0, 6), 3, 125, "input:0 to 1 [0]; input:6 to 7 [1]"},
		"the same twice":       {floats(0, 0, 1), 0, 125, "input:0 to 2 [0 1 2]"},
		"within another":       {[]Item{{Holding, 0, 4}, {Holding, 1, 1}, {Holding, 4, 1}}, 0, 125, "holding:0 to 4 [0 1 2]"},
		"tables":               {[]Item{{Holding, 0, 1}, {Input, 1, 1}, {Coil, 0, 1}, {Discrete, 0, 1}}, 5, 125, "coil:0 [2]; discrete:0 [3]; holding:0 [0]; input:1 [1]"},
		"at most 125":          {many, 0, 125, "holding:0 to 124 " + upTo(0, 125) + "; holding:125 to 129 " + upTo(125, 130)},
		"at most 8":            {many[:10], 0, 8, "holding:0 to 7 [0 1 2 3 4 5 6 7]; holding:8 to 9 [8 9]"},
		"at most 1 is an item": {floats(0, 2), 0, 1, "input:0 to 1 [0]; input:2 to 3 [1]"},
		"bits":                 {[]Item{{Coil, 0, 1}, {Coil, 1999, 1}, {Coil, 2000, 1}}, 2000, 8, "coil:0 to 1999 [0 1]; coil:2000 [2]"},
		"nothing":              {nil, 0, 125, ""},
		"the last address":     {[]Item{{Holding, 65534, 2}, {Holding, 65533, 1}}, 9, 125, "holding:65533 to 65535 [1 0]"},
	} {
		if got := show(Plan(c.items, c.gap, c.most)); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}

func upTo(from, to int) string {
	var all []int
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return fmt.Sprint(all)
}

// TestPlanIsComplete: every item is read once, nothing but items and allowed gaps is, within the limits, and halves of
// halves end at single items.
func TestPlanIsComplete(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Item {
			table := Table(rapid.IntRange(0, 3).Draw(t, "table"))
			count := 1
			if !table.Bits() {
				count = rapid.SampledFrom([]int{1, 2, 4}).Draw(t, "count")
			}
			return Item{table, uint16(rapid.IntRange(0, 300).Draw(t, "address")), count}
		}), 0, 40).Draw(t, "items")
		gap, most := rapid.IntRange(0, 20).Draw(t, "gap"), rapid.IntRange(4, 125).Draw(t, "most")
		seen := make([]int, len(items))
		for _, b := range Plan(items, gap, most) {
			if b.Count > b.Table.Most() || !b.Table.Bits() && b.Count > most {
				t.Fatalf("%s is too long", b)
			}
			covered := make([]bool, b.Count)
			for _, i := range b.Items {
				seen[i]++
				if items[i].Table != b.Table || items[i].Address < b.Address || items[i].end() > b.end() {
					t.Fatalf("%s is not in %s", items[i], b)
				}
				for at := int(items[i].Address); at < items[i].end(); at++ {
					covered[at-int(b.Address)] = true
				}
			}
			run := 0
			for _, c := range covered {
				if run++; c {
					run = 0
				}
				if run > gap {
					t.Fatalf("%s reads more than %d that nobody asked for", b, gap)
				}
			}
			halve(t, items, b)
		}
		for i, n := range seen {
			if n != 1 {
				t.Fatalf("%s is read %d times", items[i], n)
			}
		}
	})
}

func halve(t *rapid.T, items []Item, b Block) {
	first, second, ok := b.Halves(items)
	if !ok {
		for _, i := range b.Items {
			if items[i] != items[b.Items[0]] {
				t.Fatalf("%s has several places and is not cut", b)
			}
		}
		return
	}
	if len(first.Items)+len(second.Items) != len(b.Items) || len(first.Items) == 0 || len(second.Items) == 0 {
		t.Fatalf("%s is cut into %s and %s", b, first, second)
	}
	halve(t, items, first)
	halve(t, items, second)
}

func TestPart(t *testing.T) {
	t.Parallel()
	b := Block{Item{Input, 10, 4}, nil}
	if got := b.Part(raw("00 01 00 02 00 03 00 04"), Item{Input, 11, 2}); string(got) != string(raw("00 02 00 03")) {
		t.Errorf("% X", got)
	}
	b = Block{Item{Coil, 19, 19}, nil} // the specification's example: coils 20 to 38 are CD 6B 05
	want := "1011001111010110101"
	for i, w := range want {
		if got := b.Part(raw("CD 6B 05"), Item{Coil, uint16(19 + i), 1}); got[0] != byte(w-'0') {
			t.Errorf("coil %d is %d", 19+i, got[0])
		}
	}
}
