package modbus

import (
	"cmp"
	"slices"
)

// An Item is a value in a slave: so many bits or registers at an address.
type Item struct {
	Table   Table
	Address uint16
	Count   int
}

func (i Item) String() string { return Span(i.Table, i.Address, i.Count) }

func (i Item) end() int { return int(i.Address) + i.Count }

// A Block is what one request reads: items that lie together, by their place in the list that was planned.
type Block struct {
	Item
	Items []int
}

// Plan puts items into as few blocks as can be. Between two items of a block lie at most gap bits or registers that no item has,
// so that with 0 nothing is read that was not asked for. A block has at most as much as one request may read, and at
// most most registers where that is less. An item is never cut, so it may itself be more than most.
func Plan(items []Item, gap, most int) []Block {
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(items[a].Table, items[b].Table), cmp.Compare(items[a].Address, items[b].Address),
			cmp.Compare(items[a].Count, items[b].Count))
	})
	var blocks []Block
	for _, i := range order {
		item := items[i]
		if n := len(blocks) - 1; n >= 0 {
			b := &blocks[n]
			limit := item.Table.Most()
			if !item.Table.Bits() {
				limit = min(limit, most)
			}
			end := max(b.end(), item.end())
			if b.Table == item.Table && int(item.Address) <= b.end()+gap && end-int(b.Address) <= limit {
				b.Count = end - int(b.Address)
				b.Items = append(b.Items, i)
				continue
			}
		}
		blocks = append(blocks, Block{item, []int{i}})
	}
	return blocks
}

// Halves cuts a block in two between its items, with nothing before the first and behind the last item of each: what to read
// where a slave refuses the whole, until it is known which item it does not have. ok is false where there is one place
// only.
func (b Block) Halves(items []Item) (first, second Block, ok bool) {
	cut := func(at int) bool { return at > 0 && at < len(b.Items) && items[b.Items[at]] != items[b.Items[at-1]] }
	middle := len(b.Items) / 2
	for off := 0; off <= middle; off++ { // the same item may be there for several: no place to cut
		for _, at := range [...]int{middle - off, middle + off} {
			if cut(at) {
				return cover(items, b.Items[:at]), cover(items, b.Items[at:]), true
			}
		}
	}
	return Block{}, Block{}, false
}

// cover is the block of some items, which are in the order of their addresses.
func cover(items []Item, which []int) Block {
	b := Block{items[which[0]], slices.Clone(which)}
	for _, i := range which[1:] {
		b.Count = max(b.end(), items[i].end()) - int(b.Address)
	}
	return b
}

// Part cuts what was read of an item out of the data of its block. Bits come one a byte, 0 or 1.
func (b Block) Part(data []byte, item Item) []byte {
	at := int(item.Address) - int(b.Address)
	if !b.Table.Bits() {
		return data[2*at : 2*(at+item.Count)]
	}
	return []byte{data[at/8] >> (at % 8) & 1}
}
