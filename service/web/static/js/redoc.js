// ReDoc over this service's own description.
window.Redoc.init(
  "/openapi.json",
  { disableGoogleFont: true, hideDownloadButton: false, theme: { typography: { fontFamily: "system-ui, sans-serif" } } },
  document.getElementById("reference"),
);
