// The filter's grammar; entry/core/filter_compare.cc has the comparisons.
#include "entry/core/filter.h"

#include <cctype>
#include <utility>

#include "entry/core/filter_node.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

using NodePtr = std::shared_ptr<const FilterNode>;

constexpr size_t kMaxLength = 4096;
constexpr int kMaxDepth = 32;

struct Token {
  enum class Kind { kWord, kString, kOperator, kOpen, kClose, kMinus, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;
  size_t at = 0;
};

absl::Status Wrong(size_t at, const std::string& what) {
  return absl::InvalidArgumentError(fmt::format("{} at character {}", what, at + 1));
}

bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool EndsWord(char c) {
  return IsSpace(c) || std::string_view("()=!<>:\"',").find(c) != std::string_view::npos;
}

absl::StatusOr<Token> ReadString(const std::string& text, size_t* at) {
  Token token{Token::Kind::kString, "", *at};
  const char quote = text[(*at)++];
  while (*at < text.size() && text[*at] != quote) {
    if (text[*at] == '\\' && *at + 1 < text.size()) ++*at;
    token.text += text[(*at)++];
  }
  if (*at == text.size()) return Wrong(token.at, "a quote that is not closed begins");
  ++*at;
  return token;
}

absl::StatusOr<Token> ReadToken(const std::string& text, size_t* at) {
  while (*at < text.size() && IsSpace(text[*at])) ++*at;
  if (*at == text.size()) return Token{Token::Kind::kEnd, "", *at};
  const size_t begin = *at;
  const char c = text[begin];
  if (c == '"' || c == '\'') return ReadString(text, at);
  if (c == '(') return Token{Token::Kind::kOpen, "(", (*at)++};
  if (c == ')') return Token{Token::Kind::kClose, ")", (*at)++};
  if (c == '-') return Token{Token::Kind::kMinus, "-", (*at)++};
  for (const char* op : {"!=", "<=", ">=", "=", "<", ">", ":"}) {
    if (text.compare(begin, std::string_view(op).size(), op) != 0) continue;
    *at += std::string_view(op).size();
    return Token{Token::Kind::kOperator, op, begin};
  }
  while (*at < text.size() && !EndsWord(text[*at])) ++*at;
  if (*at == begin) return Wrong(begin, fmt::format("unexpected \"{}\"", c));
  return Token{Token::Kind::kWord, text.substr(begin, *at - begin), begin};
}

absl::StatusOr<std::vector<Token>> ReadTokens(const std::string& text) {
  std::vector<Token> tokens;
  size_t at = 0;
  do {
    absl::StatusOr<Token> token = ReadToken(text, &at);
    if (!token.ok()) return token.status();
    tokens.push_back(*std::move(token));
  } while (tokens.back().kind != Token::Kind::kEnd);
  return tokens;
}

FilterOperator OperatorOf(const std::string& text) {
  if (text == "=") return FilterOperator::kEqual;
  if (text == "!=") return FilterOperator::kNotEqual;
  if (text == "<") return FilterOperator::kLess;
  if (text == "<=") return FilterOperator::kLessEqual;
  if (text == ">") return FilterOperator::kGreater;
  if (text == ">=") return FilterOperator::kGreaterEqual;
  return FilterOperator::kHas;
}

std::vector<std::string> SplitPath(const std::string& text) {
  std::vector<std::string> path(1);
  for (char c : text) {
    if (c == '.') {
      path.emplace_back();
    } else {
      path.back() += c;
    }
  }
  return path;
}

// expression: sequence {AND sequence};  sequence: factor {factor};  factor: term {OR term};
// term: [NOT | -] (comparison | "(" expression ")").
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  absl::StatusOr<NodePtr> ParseAll() {
    absl::StatusOr<NodePtr> root = Expression(0);
    if (root.ok() && Peek().kind != Token::Kind::kEnd) {
      return Wrong(Peek().at, fmt::format("unexpected \"{}\"", Peek().text));
    }
    return root;
  }

 private:
  const Token& Peek() const { return tokens_[next_]; }
  bool PeekWord(const char* word) const {
    return Peek().kind == Token::Kind::kWord && Peek().text == word;
  }
  bool AtEnd() const {
    return Peek().kind == Token::Kind::kEnd || Peek().kind == Token::Kind::kClose;
  }

  static NodePtr Join(FilterNode::Kind kind, std::vector<NodePtr> children) {
    if (children.size() == 1 && kind != FilterNode::Kind::kNot) return children[0];
    auto node = std::make_shared<FilterNode>();
    node->kind = kind;
    node->children = std::move(children);
    return node;
  }

  absl::StatusOr<NodePtr> Expression(int depth) {
    if (depth > kMaxDepth) return Wrong(Peek().at, "more than 32 nested parentheses");
    std::vector<NodePtr> children;
    do {
      if (PeekWord("AND")) ++next_;
      absl::StatusOr<NodePtr> child = Factor(depth);
      if (!child.ok()) return child;
      children.push_back(*std::move(child));
    } while (!AtEnd());
    return Join(FilterNode::Kind::kAnd, std::move(children));
  }

  absl::StatusOr<NodePtr> Factor(int depth) {
    std::vector<NodePtr> children;
    while (true) {
      absl::StatusOr<NodePtr> child = Term(depth);
      if (!child.ok()) return child;
      children.push_back(*std::move(child));
      if (!PeekWord("OR")) return Join(FilterNode::Kind::kOr, std::move(children));
      ++next_;
    }
  }

  absl::StatusOr<NodePtr> Term(int depth) {
    bool negated = false;
    while (PeekWord("NOT") || Peek().kind == Token::Kind::kMinus) {
      negated = !negated;
      ++next_;
    }
    absl::StatusOr<NodePtr> inner = Simple(depth);
    if (!inner.ok() || !negated) return inner;
    return Join(FilterNode::Kind::kNot, {*std::move(inner)});
  }

  absl::StatusOr<NodePtr> Simple(int depth) {
    if (Peek().kind != Token::Kind::kOpen) return Compare();
    ++next_;
    absl::StatusOr<NodePtr> inner = Expression(depth + 1);
    if (!inner.ok()) return inner;
    if (Peek().kind != Token::Kind::kClose) return Wrong(Peek().at, "a \")\" is missing");
    ++next_;
    return inner;
  }

  absl::StatusOr<NodePtr> Compare() {
    if (Peek().kind != Token::Kind::kWord) {
      return Wrong(Peek().at, "the name of a field is missing");
    }
    auto node = std::make_shared<FilterNode>();
    const Token field = tokens_[next_++];
    node->comparison.path = SplitPath(field.text);
    if (Peek().kind != Token::Kind::kOperator) {
      return Wrong(Peek().at, fmt::format("after \"{}\" one of = != < <= > >= : and a value are "
                                          "missing",
                                          field.text));
    }
    node->comparison.op = OperatorOf(tokens_[next_++].text);
    if (Peek().kind == Token::Kind::kMinus) {
      node->comparison.value = '-';
      ++next_;
    }
    if (Peek().kind != Token::Kind::kWord && Peek().kind != Token::Kind::kString) {
      return Wrong(Peek().at, "a value is missing");
    }
    node->comparison.value += tokens_[next_++].text;
    return NodePtr(std::move(node));
  }

  const std::vector<Token> tokens_;
  size_t next_ = 0;
};

absl::Status CheckNode(const FilterNode& node, const google::protobuf::Descriptor& type) {
  if (node.kind == FilterNode::Kind::kComparison) return CheckComparison(type, node.comparison);
  for (const NodePtr& child : node.children) {
    absl::Status status = CheckNode(*child, type);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

bool MatchesNode(const FilterNode& node, const google::protobuf::Message& message) {
  switch (node.kind) {
    case FilterNode::Kind::kComparison:
      return MatchesComparison(message, node.comparison);
    case FilterNode::Kind::kNot:
      return !MatchesNode(*node.children[0], message);
    case FilterNode::Kind::kAnd:
      for (const NodePtr& child : node.children) {
        if (!MatchesNode(*child, message)) return false;
      }
      return true;
    case FilterNode::Kind::kOr:
      for (const NodePtr& child : node.children) {
        if (MatchesNode(*child, message)) return true;
      }
      return false;
  }
  return false;
}

}  // namespace

absl::StatusOr<Filter> Filter::Parse(const std::string& text) {
  if (text.size() > kMaxLength) {
    return absl::InvalidArgumentError("is longer than 4,096 characters");
  }
  absl::StatusOr<std::vector<Token>> tokens = ReadTokens(text);
  if (!tokens.ok()) return tokens.status();
  Filter filter;
  if (tokens->size() == 1) return filter;
  absl::StatusOr<NodePtr> root = Parser(*std::move(tokens)).ParseAll();
  if (!root.ok()) return root.status();
  filter.root_ = *std::move(root);
  return filter;
}

absl::Status Filter::Check(const google::protobuf::Descriptor& type) const {
  return root_ == nullptr ? absl::OkStatus() : CheckNode(*root_, type);
}

bool Filter::Matches(const google::protobuf::Message& message) const {
  return root_ == nullptr || MatchesNode(*root_, message);
}

}  // namespace appsup::entry
