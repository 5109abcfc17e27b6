package browser

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
)

// picture takes the page as it is, light and dark, wide and narrow, into the folder that EDITLOCK_PICTURES
// names; of one framework, since the page is the same on all.
func (p *tab) picture(name string) {
	p.t.Helper()
	dir := os.Getenv("EDITLOCK_PICTURES")
	if dir == "" || !isPictured(p.t.Name()) {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		for width, label := range map[int64]string{1100: "wide", 360: "narrow"} {
			call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
				Width: width, Height: 900, DeviceScaleFactor: 1,
			})
			shot := call(p, page.CaptureScreenshot, page.CaptureScreenshotParams{})
			file := filepath.Join(dir, name+"-"+scheme+"-"+label+".png")
			if err := os.WriteFile(file, shot.Data, 0o644); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	call(p, emulation.ClearDeviceMetricsOverride, cdp.Empty{})
}

// isPictured chooses the scenarios on the first framework, and those that run on one only.
func isPictured(scenario string) bool {
	is := func(name string) bool { return strings.Contains(scenario, name) }
	return is(frameworks[0]) || !slices.ContainsFunc(frameworks, is)
}
