// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

namespace warren::perf {
namespace {

constexpr double kWidthMin = 960;
constexpr double kLetterWidth = 7.5;  // of most letters of the legend, at most
constexpr double kPlotLeft = 80;
constexpr double kPlotRight = 740;
constexpr double kTitleHeight = 40;
constexpr double kPanelHeight = 260;
constexpr double kPlotTop = 34;  // in a panel
constexpr double kPlotBottom = 220;
constexpr double kLegendLine = 18;
constexpr double kLegendText = kPlotRight + 48;

// Distinguishable also without full colour vision (Okabe and Ito).
constexpr const char* kPalette[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                    "#E69F00", "#56B4E9", "#000000"};
constexpr const char* kDashes[] = {"", "6 3", "2 3", "10 3 2 3"};

struct Range {
  double low = 0;
  double high = 1;
};

// How many bytes the character takes that the text begins with; 0: it is none that XML may hold.
std::size_t character_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return first >= 0x20 ? 1 : 0;
  const std::size_t count = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < count) return 0;
  std::uint32_t code = first & (0x7FU >> count);
  for (const char c : text.substr(1, count - 1)) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) return 0;
    code = code << 6 | (static_cast<unsigned char>(c) & 0x3F);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  const bool none = code < kLeast[count] || code > 0x10FFFF || code == 0xFFFE || code == 0xFFFF;
  return surrogate || none ? 0 : count;
}

// As text of an XML document, whatever is in it.
std::string escape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t bytes = character_bytes(text);
    switch (bytes == 0 ? '\0' : text[0]) {
      case '\0':
        out += '?';
        break;
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += text.substr(0, bytes);
    }
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return out;
}

bool drawn(const Panel& panel, double y) {
  return std::isfinite(y) && (!panel.logarithmic || y > 0);
}

// The axis' ends are its outer ticks, so that nothing lies outside.
std::vector<double> y_ticks(const Panel& panel) {
  double low = HUGE_VAL;
  double high = -HUGE_VAL;
  for (const Series& series : panel.series) {
    for (const auto& [x, y] : series.points) {
      if (!drawn(panel, y)) continue;
      low = std::min(low, y);
      high = std::max(high, y);
    }
  }
  if (low > high) low = high = 1;
  if (panel.logarithmic) return logarithmic_ticks(low, high);
  return linear_ticks(std::min(low, 0.0), high > 0 ? high : 1, 5);
}

Range x_range(const std::vector<Panel>& panels) {
  Range range{0, 0};
  for (const Panel& panel : panels) {
    for (const Series& series : panel.series) {
      for (const auto& point : series.points) range.high = std::max(range.high, point.first);
    }
  }
  if (range.high <= 0) range.high = 1;
  return range;
}

class PanelWriter {
 public:
  PanelWriter(std::string& out, const Panel& panel, Range x, double top)
      : at_(std::back_inserter(out)), panel_(panel), x_(x), top_(top), ticks_(y_ticks(panel)) {}

  void write(const std::string& x_label) const {
    fmt::format_to(at_, "<text x=\"{}\" y=\"{}\" class=\"title\">{}</text>\n", kPlotLeft,
                   top_ + kPlotTop - 12, escape(panel_.title));
    axes(x_label);
    for (const Series& series : panel_.series) line(series);
    legend();
  }

 private:
  double x(double value) const {
    return kPlotLeft + (value - x_.low) / (x_.high - x_.low) * (kPlotRight - kPlotLeft);
  }
  double y(double value) const {
    const auto scaled = [this](double v) { return panel_.logarithmic ? std::log10(v) : v; };
    const double low = scaled(ticks_.front());
    const double part = (scaled(value) - low) / (scaled(ticks_.back()) - low);
    return top_ + kPlotBottom - part * (kPlotBottom - kPlotTop);
  }

  void axes(const std::string& x_label) const {
    for (const double tick : ticks_) {
      fmt::format_to(at_, "<path d=\"M{:.1f} {:.1f}H{:.1f}\" class=\"grid\"/>\n", kPlotLeft,
                     y(tick), kPlotRight);
      fmt::format_to(at_, "<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"y\">{}</text>\n", kPlotLeft - 8,
                     y(tick) + 4, short_number(tick));
    }
    for (const double tick : linear_ticks(x_.low, x_.high, 8)) {
      if (tick > x_.high) break;
      fmt::format_to(at_, "<path d=\"M{:.1f} {:.1f}v5\" class=\"axis\"/>\n", x(tick),
                     top_ + kPlotBottom);
      fmt::format_to(at_, "<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"x\">{}</text>\n", x(tick),
                     top_ + kPlotBottom + 18, short_number(tick));
    }
    fmt::format_to(at_, "<path d=\"M{:.1f} {:.1f}V{:.1f}H{:.1f}\" class=\"axis\"/>\n", kPlotLeft,
                   top_ + kPlotTop, top_ + kPlotBottom, kPlotRight);
    fmt::format_to(at_, "<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"x\">{}</text>\n",
                   (kPlotLeft + kPlotRight) / 2, top_ + kPlotBottom + 34, escape(x_label));
    const double middle = top_ + (kPlotTop + kPlotBottom) / 2;
    fmt::format_to(at_,
                   "<text x=\"20\" y=\"{0:.1f}\" class=\"x\" transform=\"rotate(-90 20 {0:.1f})\">"
                   "{1}</text>\n",
                   middle, escape(panel_.y_label));
  }

  static std::string style(const Series& series) {
    const char* const dash = kDashes[series.dash % std::size(kDashes)];
    std::string out = fmt::format("stroke=\"{}\"", kPalette[series.colour % std::size(kPalette)]);
    if (*dash != '\0') out += fmt::format(" stroke-dasharray=\"{}\"", dash);
    return out;
  }

  // A gap where a value is missing or cannot be drawn.
  void line(const Series& series) const {
    std::string path;
    bool pen_down = false;
    for (const auto& [px, py] : series.points) {
      if (!drawn(panel_, py)) {
        pen_down = false;
        continue;
      }
      path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x(px), y(py));
      pen_down = true;
    }
    if (path.empty()) return;
    if (series.points.size() == 1) path += "h0.1";  // with round caps: a dot
    fmt::format_to(at_, "<path d=\"{}\" class=\"line\" {}/>\n", path, style(series));
  }

  void legend() const {
    double at = top_ + kPlotTop + 6;
    for (const Series& series : panel_.series) {
      fmt::format_to(at_, "<path d=\"M{:.1f} {:.1f}h26\" class=\"line\" {}/>\n", kPlotRight + 16,
                     at, style(series));
      fmt::format_to(at_, "<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", kLegendText, at + 4,
                     escape(series.name));
      at += kLegendLine;
    }
  }

  const std::back_insert_iterator<std::string> at_;
  const Panel& panel_;
  const Range x_;
  const double top_;
  const std::vector<double> ticks_;
};

double panel_height(const Panel& panel) {
  return std::max(kPanelHeight,
                  kPlotTop + 20 + kLegendLine * static_cast<double>(panel.series.size()));
}

// Room for the longest name of a legend.
double width_of(const std::vector<Panel>& panels) {
  std::size_t letters = 0;
  for (const Panel& panel : panels) {
    for (const Series& series : panel.series) letters = std::max(letters, series.name.size());
  }
  return std::max(kWidthMin, kLegendText + kLetterWidth * static_cast<double>(letters));
}

}  // namespace

std::vector<double> linear_ticks(double low, double high, unsigned count) {
  const double rough = (high - low) / std::max(1U, count);
  const double decade = std::pow(10, std::floor(std::log10(rough)));
  double step = decade * 10;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * decade >= rough) {
      step = factor * decade;
      break;
    }
  }
  std::vector<double> ticks;
  const double first = std::floor(low / step);
  for (double n = first; (n - 1) * step < high; ++n) {
    ticks.push_back(n * step);
    if (ticks.back() >= high) break;
  }
  return ticks;
}

std::vector<double> logarithmic_ticks(double low, double high) {
  const int first = static_cast<int>(std::floor(std::log10(low)));
  int last = static_cast<int>(std::ceil(std::log10(high)));
  if (last == first) ++last;
  std::vector<double> ticks;
  for (int power = first; power <= last; ++power) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor != 1 && (last - first > 2 || power == last)) continue;
      ticks.push_back(factor * std::pow(10, power));
    }
  }
  return ticks;
}

std::string short_number(double value) {
  const double size = std::fabs(value);
  if (size >= 1e6) return fmt::format("{:g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:g}k", value / 1e3);
  // What is left of the sum of steps of 0.1.
  return fmt::format("{:g}", size < 1e-9 ? 0 : value);
}

std::string to_svg(const std::string& title, const std::vector<Panel>& panels,
                   const std::string& x_label) {
  double height = kTitleHeight;
  for (const Panel& panel : panels) height += panel_height(panel);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\">\n"
      "<style>text{{font:12px sans-serif;fill:#333}}.title{{font-weight:bold}}"
      ".head{{font-size:16px;font-weight:bold}}.x{{text-anchor:middle}}.y{{text-anchor:end}}"
      ".grid{{stroke:#e4e4e4;fill:none}}.axis{{stroke:#888;fill:none}}"
      ".line{{fill:none;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
      "<text x=\"{2:.0f}\" y=\"26\" class=\"head\">{3}</text>\n",
      width_of(panels), height, kPlotLeft, escape(title));
  const Range x = x_range(panels);
  double top = kTitleHeight;
  for (const Panel& panel : panels) {
    PanelWriter(out, panel, x, top).write(x_label);
    top += panel_height(panel);
  }
  return out + "</svg>\n";
}

}  // namespace warren::perf
