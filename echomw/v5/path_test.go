package echomw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/editlock/editlock/echomw/v5"
)

// A parameter at the end of a route takes the rest of the path, of which one slash belongs to the route.
func TestUIDAtTheEndOfARoute(t *testing.T) {
	t.Parallel()
	for _, router := range []echo.RouterConfig{
		{}, {UnescapePathParamValues: true}, {UseEscapedPathForMatching: true},
	} {
		e := echo.NewWithConfig(echo.Config{Router: echo.NewRouter(router)})
		e.GET("/drafts/:uid", func(c *echo.Context) error {
			uid, err := echomw.UID(c, "uid")
			if err != nil {
				return c.NoContent(http.StatusBadRequest)
			}
			return c.String(http.StatusOK, uid)
		})
		for path, want := range map[string]string{
			"draft": "draft", "draft/": "draft", "a%3Ab": "a:b", "a%3Ab/": "a:b",
			"draft//": "", "draft%2F": "", "draft%2F/": "", "drafts%2F": "", "a/b": "", "a%2Fb": "", "a%2Fb/": "",
		} {
			w := httptest.NewRecorder()
			e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/drafts/"+path, nil))
			if w.Body.String() != want {
				t.Errorf("%+v: %q names %q (%d), want %q", router, path, w.Body, w.Code, want)
			}
		}
	}
}
