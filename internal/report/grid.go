package report

// column is one column of a grid.
type column struct {
	title string
	keep  int // where not all fit, the column with the least is left out first
	min   int // how narrow it may get
}

// widest is how many columns of the screen one column takes at most; more is
// cut even where there is room, so that rows stay readable.
const widest = 48

// grid writes a table. Where the screen is too narrow, columns shrink and then
// fall out, the least important first.
func (s *screen) grid(indent int, columns []column, rows [][]cell) {
	kept := make([]int, len(columns))
	widths := make([]int, len(columns))
	for i := range columns {
		kept[i] = i
		widths[i] = shown(columns[i].title)
		for _, r := range rows {
			widths[i] = min(max(widths[i], shown(visible(r[i].text))), widest)
		}
	}
	for !shrunk(kept, widths, columns, s.o.Width-indent) {
		least := 0
		for at, i := range kept {
			if columns[i].keep < columns[kept[least]].keep {
				least = at
			}
		}
		kept = append(kept[:least], kept[least+1:]...)
	}
	head, titled := make([]cell, len(columns)), false
	for i := range columns {
		head[i] = cell{columns[i].title, faint}
		titled = titled || columns[i].title != ""
	}
	if titled {
		rows = append([][]cell{head}, rows...)
	}
	for _, r := range rows {
		cells, fit := make([]cell, len(kept)), make([]int, len(kept))
		for at, i := range kept {
			cells[at], fit[at] = r[i], widths[i]
		}
		s.row(indent, fit, cells...)
	}
}

// shrunk takes width from the widest columns until all fit, and reports false
// when they cannot. The last column that is left always fits.
func shrunk(kept, widths []int, columns []column, room int) bool {
	need := -2
	for _, i := range kept {
		need += min(widths[i], columns[i].min) + 2
	}
	if need > room && len(kept) > 1 {
		return false
	}
	total := -2
	for _, i := range kept {
		total += widths[i] + 2
	}
	for ; total > room; total-- {
		most := -1
		for _, i := range kept {
			if widths[i] > columns[i].min && (most < 0 || widths[i] > widths[most]) {
				most = i
			}
		}
		if most < 0 {
			break
		}
		widths[most]--
	}
	return true
}
