import Hummingbird
import Wire

/// Every error that the platform tells of: what, why, and what to do.
struct ErrorCataloguePage {
  func add(to pages: PageRegistry) {
    pages.get("/errors", .anybody) { visit in
      let words = visit.words
      return try visit.page(
        "errors", title: visit.text("errors_page.title"),
        ["entries": words.errorCodes.map { words.explain($0, detail: "", "").view }])
    }
  }
}
