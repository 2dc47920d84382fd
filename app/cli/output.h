#pragma once

#include "core/calibration.h"
#include "core/distortion.h"
#include "core/model.h"
#include "core/recipe.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

// Keys sorted; numbers that JSON does not have become null.
using Json = nlohmann::json;

void print(const Json& json);

// Rows of cells below a header, in aligned columns; the first column to the left, those of numbers to the right.
class Table {
public:
    explicit Table(std::vector<std::string> header) { m_rows.push_back(std::move(header)); }
    void add(std::vector<std::string> row) { m_rows.push_back(std::move(row)); }
    void print() const;

private:
    std::vector<std::vector<std::string>> m_rows;
};

std::string fixed(double value, int decimals);
std::string significant(double value);                 // 4 digits
std::string size(std::uint64_t bytes);                 // "3.94 GiB (4,230,000,128 bytes)"
std::string counted(long n, const std::string& thing); // "1 chunk", "2 chunks"
std::string dimensions(const std::vector<long>& shape);
void say(const std::string& line); // to stdout

void note(const std::string& line); // to stderr

// To stderr, a line each.
void warn(const std::vector<std::string>& warnings);

// Opens a model; its warnings go to stderr unless `json`, which shows them itself.
quern::Model opened(const std::string& path, bool json);

// The importance matrix of --imatrix, for use with `model`; none without.
std::optional<quern::Calibration> calibrationAt(const std::string& path, const quern::Model& model);

// Throws Error, e.g. if the file cannot be read.
quern::Recipe recipeAt(const std::string& path);

// The bytes of a text file, or of the standard input for "-". Throws Error if it cannot be read.
std::string textAt(const std::string& path);

// {"name","format","method",...} of every tensor of a plan.
Json planned(const quern::Plan& plan, std::size_t i, const quern::Model& model);
std::string methodOf(const quern::Choice& choice);
