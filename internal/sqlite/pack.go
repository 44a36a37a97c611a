package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"touchstone.dev/touchstone/internal/record"
)

// How packed bytes are kept; their first byte.
const (
	asIs  = 0
	zstds = 1 // zstd (RFC 8878)
)

// packer makes bytes smaller where that pays. It may be used from many
// goroutines.
type packer struct {
	out *zstd.Encoder
	in  *zstd.Decoder
}

func newPacker() (*packer, error) {
	out, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	in, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithDecoderMaxMemory(2*record.MaxBytes), zstd.WithDecoderLowmem(true))
	return &packer{out, in}, err
}

func (p *packer) close() {
	_ = p.out.Close() // nothing is buffered in it
	p.in.Close()
}

// pack returns the bytes with a byte before them that says how they are kept.
func (p *packer) pack(b []byte) []byte {
	const worth = 200 // below, a frame's head eats up what is won
	if len(b) >= worth {
		small := p.out.EncodeAll(b, append(make([]byte, 0, 16+len(b)/2), zstds))
		if len(small) < len(b)-len(b)/8 {
			return small
		}
	}
	return append(append(make([]byte, 0, 1+len(b)), asIs), b...)
}

// unpack returns what pack was given. The bytes may be part of packed.
func (p *packer) unpack(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, fmt.Errorf("%w: bytes that do not say how they are kept", record.ErrCorrupt)
	}
	switch packed[0] {
	case asIs:
		return packed[1:], nil
	case zstds:
		b, err := p.in.DecodeAll(packed[1:], nil)
		if err != nil {
			return nil, errors.Join(record.ErrCorrupt, err)
		}
		return b, nil
	default:
		return nil, fmt.Errorf("%w: bytes are kept in the unknown way %d", record.ErrCorrupt, packed[0])
	}
}

// number takes the first eight bytes of a hash as an integer of the database.
func number(sum []byte) int64 { return int64(binary.BigEndian.Uint64(sum)) }
