package containerd

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrGone means that the container that was meant does not run any more: it has
// ended, is deleted, or another has its id or process id.
var ErrGone = errors.New("it does not run any more")

// explain turns an error of the API into words. What containerd does not have is
// ErrGone.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	told := status.Convert(err)
	switch told.Code() {
	case codes.NotFound:
		return fmt.Errorf("%s: %w", doing, ErrGone)
	case codes.Canceled, codes.DeadlineExceeded:
		return fmt.Errorf("%s: containerd did not answer in time", doing)
	case codes.Unavailable:
		return fmt.Errorf("%s: containerd cannot be reached: %.300q\nhint: it must run, and reaching it commonly takes root", doing, told.Message())
	}
	return fmt.Errorf("%s: containerd says %.300q", doing, told.Message())
}
