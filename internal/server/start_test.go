package server

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/release"
)

func TestTheFirstStartMakesEverythingAndTellsTheTokenOnce(t *testing.T) {
	h := open(t, nil)
	if n := strings.Count(h.told.String(), h.token); n != 1 || !strings.HasPrefix(h.token, "tst_") {
		t.Errorf("the token was told %d times", n)
	}
	me, err := h.admin.WhoAmI(t.Context())
	check(t, err)
	if me.Role != api.Admin || me.Secret != "" {
		t.Errorf("%+v", me)
	}
	for name, mode := range map[string]os.FileMode{
		".": 0o700, firstTokenFile: 0o600, keysFile: 0o600, logKeyFile: 0o600, recordFile: 0o600, addressFile: 0o600, authorityFile: 0o644,
	} {
		info, err := os.Stat(filepath.Join(h.config.Data, name))
		check(t, err)
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), mode)
		}
	}
	if at, err := Address(h.config.Data); err != nil || at != "https://"+h.API() {
		t.Errorf("%s %v", at, err)
	}
	// The secret is nowhere but in the file that is told of.
	check(t, h.stop())
	check(t, filepath.WalkDir(h.config.Data, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == firstTokenFile {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), h.token[len(h.token)-52:]) {
			t.Errorf("%s holds the token's secret", path)
		}
		return err
	}))
}

func TestASecondStartKeepsEverything(t *testing.T) {
	h := open(t, nil)
	dev := h.as(t, "dana", api.Developer)
	_, err := h.admin.Freeze(t.Context(), touchstone.Freeze{Environments: []string{"prod"}, Until: noon.Add(time.Hour), Reason: "the audit"})
	check(t, err)
	asked, err := dev.Ask(t.Context(), release.Request{Kind: release.KindWaiver, Waiver: &touchstone.Waiver{
		Rule: "runs-as-root", Artifact: "shop/*", WholeRule: true, Environments: []string{"prod"}, Owner: "dana", Reason: "it binds port 80", Until: noon.Add(24 * time.Hour),
	}})
	check(t, err)
	certificate, _ := h.authority.Certificate(nil)
	check(t, h.stop())

	h.told.Reset()
	h.config.Rules = []byte(strings.Replace(table, "prod: refuse}", "prod: allow}", 1)) // other rules at the start do not count
	h.start(t)
	if h.told.Len() > 0 {
		t.Errorf("a second start told %q", h.told)
	}
	if again, _ := h.authority.Certificate(nil); again.Leaf.SerialNumber.Cmp(certificate.Leaf.SerialNumber) != 0 {
		t.Error("a second start made another certificate")
	}
	freezes, err := h.admin.Freezes(t.Context(), api.Paging{})
	check(t, err)
	if len(freezes.Items) != 1 || freezes.Items[0].Reason != "the audit" {
		t.Errorf("%+v", freezes)
	}
	got, err := h.client(t, dev.Token).Request(t.Context(), asked.ID)
	check(t, err)
	if got.State != release.Open || got.By.Name != "dana" {
		t.Errorf("%+v", got)
	}
	rules, err := h.admin.Rules(t.Context())
	check(t, err)
	if rules.Source != table {
		t.Error("the rules at the start have taken the place of those in force")
	}
	v, err := h.admin.VerifyLog(t.Context(), "")
	check(t, err)
	if !v.OK || v.Entries < 5 || v.Checkpoints == 0 {
		t.Errorf("%+v", v)
	}
}

func TestOneServerRunsOnAFolder(t *testing.T) {
	h := open(t, nil)
	if _, err := New(t.Context(), h.config); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Error(err)
	}
	if _, err := LocalToken(t.Context(), h.config.Data, api.TokenAsk{Name: "x", Role: api.Admin}, h.clock.now); err == nil {
		t.Error("a token was made on the disk of a server that runs")
	}
}

func TestWhoHasLostEveryTokenMakesOneOnTheDisk(t *testing.T) {
	h := open(t, nil)
	check(t, h.stop())
	made, err := LocalToken(t.Context(), h.config.Data, api.TokenAsk{Name: "root", Role: api.Admin}, h.clock.now)
	check(t, err)
	h.start(t)
	if me, err := h.client(t, made.Secret).WhoAmI(t.Context()); err != nil || me.Name != "root" {
		t.Error(me, err)
	}
	if _, err := LocalToken(t.Context(), t.TempDir(), api.TokenAsk{Name: "root", Role: api.Admin}, h.clock.now); err == nil {
		t.Error("a token was made where no server was")
	}
}

func TestBackupAndRestoreWhileRunning(t *testing.T) {
	h := open(t, nil)
	dev := h.as(t, "dana", api.Developer)
	backup, err := h.admin.Backup(t.Context())
	check(t, err)
	if info, err := os.Stat(backup.Path); err != nil || info.Size() != backup.Bytes || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	late := h.as(t, "late", api.Viewer)
	if _, err := Restore(t.Context(), h.config.Data, backup.Path, false); err == nil {
		t.Error("a backup was restored below a server that runs")
	}
	check(t, h.stop())

	kept, err := Restore(t.Context(), h.config.Data, backup.Path, false)
	check(t, err)
	if _, err := os.Stat(kept); err != nil {
		t.Error("what was there is not kept:", err)
	}
	h.start(t)
	if _, err := h.client(t, dev.Token).WhoAmI(t.Context()); err != nil {
		t.Error("a token from before the backup:", err)
	}
	if _, err := h.client(t, late.Token).WhoAmI(t.Context()); err == nil {
		t.Error("a token from after the backup is still known")
	}
	if v, err := h.admin.VerifyLog(t.Context(), ""); err != nil || !v.OK {
		t.Error(v, err)
	}
	if _, err := Restore(t.Context(), t.TempDir(), backup.Path, false); err == nil || !strings.Contains(err.Error(), logKeyFile) {
		t.Error("restored without the key:", err)
	}
	other := t.TempDir()
	if _, err := Restore(t.Context(), other, backup.Path, true); err != nil {
		t.Error(err)
	}
}

func TestTwoWebhooksAreRefused(t *testing.T) {
	c, _, _ := configure(t, t.TempDir())
	gates := func(*Rooms) (*Gate, error) { return &Gate{Webhook: http.NotFoundHandler()}, nil }
	c.Gates = []func(*Rooms) (*Gate, error){gates, gates}
	if _, err := New(t.Context(), c); err == nil {
		t.Error("no error")
	}
}
