package main

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// order is a command that is to be run, as a JSON document on a connection of its
// own.
type order struct {
	Args   []string
	Env    []string
	Within time.Duration // it is killed thereafter; a minute when zero
}

// outcome is how it ended: Code is -1 if by a signal.
type outcome struct {
	Code   int
	Signal int
	Output string
	Err    string // that it could not be started
}

// obeyAll is the first process of a container: it takes orders on a socket, any
// number at a time. More words are a command to be run first.
func obeyAll(args []string) error {
	if len(args) > 1 {
		first := obey(&order{Args: args[1:]})
		text, err := json.Marshal(first)
		if err != nil {
			return err
		}
		if err := os.WriteFile("/order/first", text, 0o600); err != nil {
			return err
		}
	}
	_ = os.Remove(args[0]) // of the container before this one, where a volume has outlived it
	l, err := net.Listen("unix", args[0])
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			var o order
			if json.NewDecoder(c).Decode(&o) == nil {
				_ = json.NewEncoder(c).Encode(obey(&o)) // who asked has gone
			}
		}()
	}
}

func obey(o *order) outcome {
	command := exec.Command(o.Args[0], o.Args[1:]...)
	command.Env = append(os.Environ(), o.Env...)
	command.WaitDelay = time.Second
	if o.Within == 0 {
		o.Within = time.Minute
	}
	late := time.AfterFunc(o.Within, func() {
		if command.Process != nil {
			_ = command.Process.Kill()
		}
	})
	defer late.Stop()
	output, err := command.CombinedOutput()
	result := outcome{Output: string(output)}
	if command.ProcessState == nil {
		result.Code, result.Err = -1, err.Error()
		return result
	}
	status := command.ProcessState.Sys().(syscall.WaitStatus)
	result.Code = status.ExitStatus()
	if signal := status.Signal(); signal > 0 {
		result.Signal = int(signal)
	}
	return result
}

// finishAs ends this process as the command ends.
func finishAs(command *exec.Cmd) error {
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	err := command.Run()
	if command.ProcessState == nil {
		return err
	}
	status := command.ProcessState.Sys().(syscall.WaitStatus)
	if signal := status.Signal(); signal > 0 {
		return errors.New("ended by signal " + signal.String())
	}
	os.Exit(status.ExitStatus())
	return nil
}
