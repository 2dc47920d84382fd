#include "app/cli/output.h"

#include "core/error.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace {

// Characters, not bytes.
std::size_t width(const std::string& text)
{
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

bool isNumber(const std::string& cell)
{
    return !cell.empty() && (std::isdigit(static_cast<unsigned char>(cell.back())) != 0 || cell == "-" || cell == "inf")
        && cell.find_first_not_of("0123456789.,-+einf") == std::string::npos;
}

std::string grouped(std::uint64_t n)
{
    std::string text = std::to_string(n);
    for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
        text.insert(static_cast<std::size_t>(at), 1, ',');
    return text;
}

} // namespace

void say(const std::string& line)
{
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
}

void print(const Json& json)
{
    say(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void Table::print() const
{
    std::vector<std::size_t> widths(m_rows.front().size());
    std::vector<bool> right(widths.size(), m_rows.size() > 1);
    for (std::size_t r = 0; r < m_rows.size(); ++r)
        for (std::size_t c = 0; c < widths.size(); ++c) {
            widths[c] = std::max(widths[c], width(m_rows[r][c]));
            right[c] = right[c] && (r == 0 || isNumber(m_rows[r][c]));
        }
    for (const auto& row : m_rows) {
        std::string line;
        for (std::size_t c = 0; c < row.size(); ++c) {
            const std::string space(widths[c] - width(row[c]), ' ');
            line += (c > 0 ? "  " : "") + (right[c] ? space + row[c] : row[c] + space);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        say(line);
    }
}

std::string fixed(double value, int decimals)
{
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", decimals, value);
    return text;
}

std::string significant(double value)
{
    char text[64];
    std::snprintf(text, sizeof text, "%.4g", value);
    return text;
}

std::string size(std::uint64_t bytes)
{
    constexpr const char* kUnits[] {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit)
        value /= 1024;
    return unit == 0 ? grouped(bytes) + " bytes"
                     : fixed(value, 2) + ' ' + kUnits[unit] + " (" + grouped(bytes) + " bytes)";
}

std::string counted(long n, const std::string& thing)
{
    return std::to_string(n) + ' ' + thing + (n == 1 ? "" : "s");
}

std::string dimensions(const std::vector<long>& shape)
{
    std::string text;
    for (const long n : shape)
        text += (text.empty() ? "" : " x ") + std::to_string(n);
    return text.empty() ? "1" : text;
}

void note(const std::string& line)
{
    std::fprintf(stderr, "quern-cli: %s\n", line.c_str());
}

void warn(const std::vector<std::string>& warnings)
{
    for (const std::string& warning : warnings)
        std::fprintf(stderr, "quern-cli: warning: %s\n", warning.c_str());
}

quern::Model opened(const std::string& path, bool json)
{
    quern::Model model = quern::openModel(path);
    if (!json)
        warn(model.warnings);
    return model;
}

std::optional<quern::Calibration> calibrationAt(const std::string& path, const quern::Model& model)
{
    if (path.empty())
        return {};
    quern::Calibration calibration = quern::readImatrix(path);
    quern::splitExperts(calibration, model);
    return calibration;
}

quern::Recipe recipeAt(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf()))
        quern::fail("The recipe %1 cannot be read.", path);
    return quern::recipeFromJson(text.str(), path);
}

std::string textAt(const std::string& path)
{
    const std::filesystem::path file = path == "-" ? "/dev/stdin" : path;
    if (std::filesystem::is_directory(file))
        quern::fail("%1 is a folder; a text file is expected.", path);
    std::ifstream stream(file, std::ios::binary);
    std::string text;
    std::vector<char> part(1 << 16);
    while (stream.read(part.data(), static_cast<std::streamsize>(part.size())) || stream.gcount() > 0)
        text.append(part.data(), static_cast<std::size_t>(stream.gcount()));
    if (!stream.eof())
        quern::fail("The text %1 cannot be read.", path);
    return text;
}

std::string methodOf(const quern::Choice& choice)
{
    return choice.quantizer ? std::string(choice.quantizer->name) : "copy";
}

Json planned(const quern::Plan& plan, std::size_t i, const quern::Model& model)
{
    const quern::PlannedTensor& tensor = plan.tensors[i];
    Json json {{"name", model.tensors[i].name},        {"shape", model.tensors[i].shape},
               {"format", tensor.choice.format->name}, {"method", methodOf(tensor.choice)},
               {"stored_as", tensor.stored->name},     {"bytes", tensor.storedBytes},
               {"method_bytes", tensor.methodBytes}};
    if (tensor.asked)
        json["asked"] = tensor.asked->name;
    return json;
}
