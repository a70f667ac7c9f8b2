// SPDX-License-Identifier: Apache-2.0
// Charts are well-formed XML, whatever is in them, and nothing is drawn outside.
#include "server/tools/perf/svg_chart.h"

#include <cmath>
#include <sstream>

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>

namespace warren::perf {
namespace {

using ::testing::ElementsAre;
using Tree = boost::property_tree::ptree;

// Throws when it is not well-formed.
Tree svg_of(const std::vector<Panel>& panels, const std::string& title = "title") {
  std::istringstream in(to_svg(title, panels, "seconds"));
  Tree tree;
  boost::property_tree::read_xml(in, tree);
  return tree.get_child("svg");
}

std::vector<std::string> lines_of(const Tree& svg) {
  std::vector<std::string> out;
  for (const auto& [name, element] : svg) {
    if (name == "path" && element.get<std::string>("<xmlattr>.class") == "line") {
      out.push_back(element.get<std::string>("<xmlattr>.d"));
    }
  }
  return out;
}

TEST(LinearTicks, AreRoundAndHoldTheRange) {
  EXPECT_THAT(linear_ticks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(linear_ticks(0, 11, 5), ElementsAre(0, 5, 10, 15));
  const std::pair<double, double> ranges[] = {{0, 0.003}, {0, 1}, {3, 7}, {0, 1'234'567}};
  for (const auto& [low, high] : ranges) {
    const auto ticks = linear_ticks(low, high, 5);
    ASSERT_GE(ticks.size(), 2U);
    EXPECT_LE(ticks.size(), 12U);
    EXPECT_LE(ticks.front(), low);
    EXPECT_GE(ticks.back(), high);
  }
}

TEST(LogarithmicTicks, HoldTheRange) {
  EXPECT_THAT(logarithmic_ticks(0.5, 300), ElementsAre(0.1, 1, 10, 100, 1000));
  EXPECT_THAT(logarithmic_ticks(2, 9), ElementsAre(1, 2, 5, 10));
  EXPECT_THAT(logarithmic_ticks(1, 1), ElementsAre(1, 2, 5, 10));
}

TEST(ShortNumber, IsShort) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.25), "0.25");
  EXPECT_EQ(short_number(1500), "1500");
  EXPECT_EQ(short_number(20'000), "20k");
  EXPECT_EQ(short_number(1'500'000), "1.5M");
}

TEST(ToSvg, HasALinePerSeries) {
  const Panel panel{
      "p", "y", false, {{"a", 0, 0, {{0, 1}, {1, 2}}}, {"b", 1, 1, {{0, 3}, {1, 4}}}}};
  const Tree svg = svg_of({panel, panel});
  EXPECT_EQ(lines_of(svg).size(), 8U);  // each once more in the legend
}

TEST(ToSvg, EscapesTexts) {
  const Panel panel{"<a> & \"b\"", "y < z", true, {{"c < d & e", 0, 0, {{0, 1}}}}};
  const Tree svg = svg_of({panel}, "1 < 2 & 3\x01");
  std::vector<std::string> texts;
  for (const auto& [name, element] : svg) {
    if (name == "text") texts.push_back(element.data());
  }
  EXPECT_THAT(texts, ::testing::IsSupersetOf({"1 < 2 & 3?", "<a> & \"b\"", "y < z", "c < d & e"}));
}

// No XML parser would read the picture otherwise.
TEST(ToSvg, ReplacesWhatIsNoCharacterOfXml) {
  const std::pair<const char*, const char*> names[] = {
      {"sch\xC3\xB6n \xE2\x82\xAC \xF0\x9F\x90\xB0", "sch\xC3\xB6n \xE2\x82\xAC \xF0\x9F\x90\xB0"},
      {"a\xFF\x62", "a?b"},            // no byte of UTF-8
      {"a\xE2\x82", "a??"},            // cut
      {"a\xC0\xAF", "a??"},            // longer than it has to be
      {"a\xED\xA0\x80", "a???"},       // half of a pair
      {"a\xEF\xBF\xBF", "a???"},       // U+FFFF
      {"a\xF4\x90\x80\x80", "a????"},  // beyond the last one
      {"a\x1B[0m", "a?[0m"}};
  for (const auto& [name, shown] : names) {
    const Panel panel{"p", "y", false, {{name, 0, 0, {{0, 1}}}}};
    EXPECT_THAT(to_svg("t", {panel}, "x"), ::testing::HasSubstr(fmt::format(">{}</text>", shown)));
  }
}

TEST(ToSvg, DrawsNothingOutsideItsPanel) {
  const Panel panel{"p", "y", true, {{"a", 0, 0, {{0, 0.02}, {5, 7}, {9, 4321}}}}};
  const std::string path = lines_of(svg_of({panel})).front();
  std::istringstream in(path);
  char letter = 0;
  double x = 0;
  double y = 0;
  int points = 0;
  while (in >> letter >> x >> y) {
    ++points;
    EXPECT_GE(x, 80);
    EXPECT_LE(x, 740);
    EXPECT_GE(y, 74);
    EXPECT_LE(y, 260);
  }
  EXPECT_EQ(points, 3);
}

TEST(ToSvg, LeavesAGapWhereNothingCanBeDrawn) {
  const Panel panel{"p", "y", true, {{"a", 0, 0, {{0, 1}, {1, 2}, {2, 0}, {3, 4}, {4, 5}}}}};
  const std::string path = lines_of(svg_of({panel})).front();
  EXPECT_EQ(std::count(path.begin(), path.end(), 'M'), 2);
  EXPECT_EQ(std::count(path.begin(), path.end(), 'L'), 2);
}

TEST(ToSvg, StandsValuesThatAreNone) {
  const double odd[] = {NAN, INFINITY, -INFINITY, 0, -5};
  for (const bool logarithmic : {false, true}) {
    for (const double value : odd) {
      const Panel panel{"p", "y", logarithmic, {{"a", 0, 0, {{0, value}, {1, value}}}}};
      const std::string text = to_svg("t", {panel}, "x");
      EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("nan"))) << value;
      EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("inf"))) << value;
      EXPECT_NO_THROW(svg_of({panel})) << value;
    }
  }
  EXPECT_NO_THROW(svg_of({Panel{"p", "y", false, {}}}));
  EXPECT_NO_THROW(svg_of({}));
}

}  // namespace
}  // namespace warren::perf
