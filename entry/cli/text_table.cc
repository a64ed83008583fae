#include "entry/cli/text_table.h"

#include <algorithm>

#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr size_t kMinLastColumn = 16;

bool BeginsCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

const char* CodeOf(Shade shade) {
  switch (shade) {
    case Shade::kPlain:
      return "";
    case Shade::kGood:
      return "32";
    case Shade::kBusy:
      return "33";
    case Shade::kBad:
      return "31";
    case Shade::kFaint:
      return "2";
  }
  return "";
}

}  // namespace

size_t CharacterCount(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), BeginsCharacter));
}

std::string Shortened(const std::string& text, size_t characters) {
  if (CharacterCount(text) <= characters) return text;
  if (characters == 0) return "";
  size_t at = 0;
  for (size_t count = 0; at < text.size(); ++at) {
    if (BeginsCharacter(text[at]) && ++count == characters) break;
  }
  return text.substr(0, at) + "…";
}

std::string OneLine(const std::string& text) {
  std::string line = text;
  for (char& c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = ' ';
  }
  return line;
}

std::string Shaded(const std::string& text, Shade shade, bool color) {
  if (!color || shade == Shade::kPlain || text.empty()) return text;
  return fmt::format("\x1b[{}m{}\x1b[0m", CodeOf(shade), text);
}

void TextTable::Add(Row row) {
  for (Cell& cell : row) cell.text = OneLine(cell.text);
  rows_.push_back(std::move(row));
}

std::vector<size_t> TextTable::Widths() const {
  std::vector<size_t> widths;
  for (const std::string& title : titles_) widths.push_back(CharacterCount(title));
  for (const Row& row : rows_) {
    for (size_t i = 0; i < std::min(row.size(), widths.size()); ++i) {
      widths[i] = std::max(widths[i], CharacterCount(row[i].text));
    }
  }
  return widths;
}

std::string TextTable::Line(const Row& row, const std::vector<size_t>& widths, bool color) const {
  std::string line;
  size_t used = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    std::string text = row[i].text;
    if (i + 1 == titles_.size() && width_ > 0) {
      text = Shortened(text, std::max(kMinLastColumn, width_ > used ? width_ - used : 0));
    }
    const size_t count = CharacterCount(text);
    const size_t column = i + 1 == row.size() ? count : std::max(widths[i], count) + 2;
    line += Shaded(text, row[i].shade, color) + std::string(column - count, ' ');
    used += column;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string TextTable::Text() const {
  const std::vector<size_t> widths = Widths();
  Row header;
  for (const std::string& title : titles_) header.emplace_back(title, Shade::kFaint);
  std::string text = Line(header, widths, color_);
  for (const Row& row : rows_) text += Line(row, widths, color_);
  return text;
}

std::string TextTable::RowText(const Row& row) const {
  Row clean = row;
  for (Cell& cell : clean) cell.text = OneLine(cell.text);
  return Line(clean, Widths(), color_);
}

}  // namespace appsup::cli
