package release_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/release"
)

// together runs f with 0 to n-1 at once, and returns the errors.
func together(n int, f func(int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// Many promote the same at once, then many approve it at once: there is one
// request, every approval counts once, and it is promoted once.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	const n = 8
	for _, err := range together(n, func(i int) error {
		res, err := w.Promote(t.Context(), release.Person{Name: fmt.Sprint("p", i)}, release.PromotionAsk{Artifacts: []string{"registry.example/cart:1"}, To: "dev"})
		if err == nil && len(res.Promoted) != 1 {
			return errors.New("not promoted")
		}
		return err
	}) {
		check(t, err)
	}
	w.promote(t, ann, "test", "cart:1")
	w.pass(25 * time.Hour)
	ids := make([]string, n)
	for _, err := range together(n, func(i int) error {
		res, err := w.Promote(t.Context(), ann, release.PromotionAsk{Artifacts: []string{"registry.example/cart:1"}, To: "prod"})
		if err == nil {
			ids[i] = res.Request.ID
		}
		return err
	}) {
		check(t, err)
	}
	for i := range ids {
		if ids[i] != ids[0] {
			t.Fatalf("requests %v", ids)
		}
	}
	granted, late := 0, 0
	var mu sync.Mutex
	for _, err := range together(n, func(i int) error {
		// Each person says yes twice.
		q, err := w.Approve(t.Context(), release.Person{Name: fmt.Sprint("r", i/2), Groups: []string{"release"}}, ids[0], "")
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(err, release.ErrState):
			late++
			return nil
		case err == nil && q.State == release.Granted:
			granted++
		}
		return err
	}) {
		check(t, err)
	}
	q, err := w.Request(t.Context(), ids[0])
	check(t, err)
	if granted != 1 || q.State != release.Granted || len(q.Approvals) != 2 {
		t.Errorf("granted %d times, %d came late, approvals %+v", granted, late, q.Approvals)
	}
	if got := w.entries(t); got["promotion"] != 3 || got["request"] != 1 || got["approval"] != 2 {
		t.Errorf("entries %v", got)
	}
}

// Nobody reads a book from before a write that they have seen the end of.
func TestTheBookIsNeverBehind(t *testing.T) {
	w := newWorld(t)
	for _, err := range together(6, func(i int) error {
		for range 10 {
			f, err := w.Freeze(t.Context(), bob, touchstone.Freeze{Until: noon.Add(time.Hour), Reason: fmt.Sprint(i)})
			if err != nil {
				return err
			}
			if !w.holds(t, f.ID) {
				return fmt.Errorf("the freeze %s is not in the book", f.ID)
			}
			if err := w.Thaw(t.Context(), bob, f.ID, "over"); err != nil {
				return err
			}
			if w.holds(t, f.ID) {
				return fmt.Errorf("the freeze %s is still in the book", f.ID)
			}
		}
		return nil
	}) {
		check(t, err)
	}
}

func (w *world) holds(t *testing.T, id string) bool {
	b, err := w.Book(t.Context())
	if err != nil {
		t.Error(err)
		return false
	}
	for i := range b.Freezes {
		if b.Freezes[i].ID == id {
			return true
		}
	}
	return false
}
