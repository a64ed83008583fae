#pragma once

#include <string>
#include <vector>

namespace appsup::cli {

enum class Shade { kPlain, kGood, kBusy, kBad, kFaint };

struct Cell {
  Cell(std::string cell_text = "", Shade cell_shade = Shade::kPlain)  // NOLINT: texts are cells
      : text(std::move(cell_text)), shade(cell_shade) {}
  Cell(const char* cell_text) : text(cell_text) {}  // NOLINT

  std::string text;
  Shade shade = Shade::kPlain;
};

using Row = std::vector<Cell>;

// Aligned columns, two spaces between them, no trailing blanks. Texts are counted in characters,
// not bytes; line ends and control characters within a cell become blanks.
class TextTable {
 public:
  // `width`: of the terminal, at which the last column is cut with "…"; 0: never.
  TextTable(std::vector<std::string> titles, bool color, size_t width)
      : titles_(std::move(titles)), color_(color), width_(width) {}

  void Add(Row row);

  std::string Text() const;

  // A single row under what Text() returned, for tables that grow while they are watched. A cell
  // that is wider than its column pushes the rest to the right.
  std::string RowText(const Row& row) const;

  size_t size() const { return rows_.size(); }

 private:
  std::vector<size_t> Widths() const;
  std::string Line(const Row& row, const std::vector<size_t>& widths, bool color) const;

  const std::vector<std::string> titles_;
  const bool color_;
  const size_t width_;
  std::vector<Row> rows_;
};

// The text in the escape codes of its shade; as it is without `color`.
std::string Shaded(const std::string& text, Shade shade, bool color);

// Characters of a UTF-8 text.
size_t CharacterCount(const std::string& text);

// At most `characters` characters, the last of which is "…" where something was cut.
std::string Shortened(const std::string& text, size_t characters);

// Fit for one line of a terminal: control characters (escape codes of others among them) are
// blanks.
std::string OneLine(const std::string& text);

}  // namespace appsup::cli
