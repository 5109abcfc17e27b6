package readme

// What only the parts and programs of the README import: go mod tidy does not look into testdata.
import (
	_ "github.com/gofiber/fiber/v3"
	_ "github.com/gofiber/fiber/v3/middleware/recover"
	_ "github.com/labstack/echo/v5"
	_ "github.com/labstack/echo/v5/middleware"
	_ "modernc.org/sqlite"

	_ "github.com/editlock/editlock/echomw/v5"
	_ "github.com/editlock/editlock/fibermw/v3"
)
