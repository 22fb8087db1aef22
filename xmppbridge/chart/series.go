package chart

// series draws the readings, nothing where there were none.
func (p *painter) series() {
	for _, run := range runs(p.all) {
		if p.c.number() {
			p.curve(run)
		} else {
			p.states(run)
		}
	}
}

// curve is a line through the means of a run, over the room between what was least and greatest.
func (p *painter) curve(run []reading) {
	var mean, edge []xy
	spread := false
	for _, r := range run {
		x := p.x(r.middle())
		mean = append(mean, xy{x, p.y(r.Mean)})
		edge = append(edge, xy{x, p.y(r.Max)})
		spread = spread || r.Max > r.Min
	}
	if spread {
		for i := len(run) - 1; i >= 0; i-- {
			edge = append(edge, xy{p.x(run[i].middle()), p.y(run[i].Min)})
		}
		n := len(run)
		// The edge is a line as well: a spike of one reading would be a hair otherwise.
		p.canvas.fill(p.band, append(append(stroke(edge[:n], 2), stroke(edge[n:], 2)...), quads(edge)...)...)
	}
	if len(mean) == 1 {
		p.canvas.fill(p.line, circle(mean[0], 6))
		return
	}
	p.canvas.fill(p.line, stroke(mean, lineWidth)...)
}

// quads cuts the room between two edges, out along one and back along the other, into pieces that do not cross themselves.
func quads(edge []xy) [][]xy {
	n := len(edge) / 2
	if n == 1 {
		a, b := edge[0], edge[1]
		return [][]xy{{{a.x - 2, a.y}, {a.x + 2, a.y}, {b.x + 2, b.y}, {b.x - 2, b.y}}}
	}
	var out [][]xy
	for i := range n - 1 {
		out = append(out, []xy{edge[i], edge[i+1], edge[2*n-2-i], edge[2*n-1-i]})
	}
	return out
}

// states draws a switch: a bar where it is on, and a line that steps.
func (p *painter) states(run []reading) {
	var path []xy
	var bars [][]xy
	off := p.y(0)
	for _, r := range run {
		x0, x, x1 := p.x(r.start), p.x(r.middle()), p.x(r.end)
		if r.Min != r.Max { // both within the span
			path = append(path, xy{x, p.y(1 - r.Last)}, xy{x, p.y(r.Last)})
			bars = append(bars, []xy{{x - 1, off}, {x - 1, p.y(1)}, {x + 1, p.y(1)}, {x + 1, off}})
		} else {
			path = append(path, xy{x0, p.y(r.Last)})
		}
		path = append(path, xy{x1, p.y(r.Last)})
		if r.Last > 0.5 {
			bars = append(bars, []xy{{x0, off}, {x0, p.y(1)}, {x1, p.y(1)}, {x1, off}})
		}
	}
	p.canvas.fill(p.band, bars...)
	p.canvas.fill(p.line, stroke(path, lineWidth)...)
}
