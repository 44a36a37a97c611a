package report
import ("testing";"os";"touchstone.dev/touchstone")
func TestShow(t *testing.T){
 for _,w:=range []int{100,60,160}{
 for _,c:=range []*touchstone.Check{refused(),allowed(),road()}{
  Write(os.Stdout,"table",c,Options{Width:w,Now:now}); os.Stdout.WriteString("=======\n")
 }}
}
