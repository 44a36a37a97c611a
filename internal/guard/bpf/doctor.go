package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
)

// Supported returns nil if this kernel, and this process' rights, allow the layer;
// else what is missing.
func Supported() error {
	if _, err := btf.LoadKernelSpec(); err != nil {
		return fmt.Errorf("the kernel does not tell its types: %w\nhint: it needs CONFIG_DEBUG_INFO_BTF", err)
	}
	if err := features.HaveMapType(ebpf.RingBuf); err != nil {
		return fmt.Errorf("ring buffers: %w", err)
	}
	for _, f := range []asm.BuiltinFunc{asm.FnFindVma, asm.FnTaskPtRegs, asm.FnSendSignal} {
		err := features.HaveProgramHelper(ebpf.RawTracepoint, f)
		if errors.Is(err, ebpf.ErrNotSupported) {
			return fmt.Errorf("the helper %s: %w\nhint: the kernel must be 5.17 or later", f, err)
		}
	}
	return nil
}
