#include "app/cli/command.h"
#include "app/cli/output.h"

#include "core/error.h"
#include "core/tokenizer.h"

#include <algorithm>
#include <charconv>

namespace {

constexpr Option kOptions[] {
    {"--text", "FILE", "the text to read, taken as it is; - is the standard input"},
    {"--decode", "FILE", "token numbers to turn back into their text, separated by anything but digits; - as above"},
    {"--no-bos", nullptr, "without the tokens for beginning and end of a text"},
    {"--parse-special", nullptr, "control tokens spelled out in the text (<|im_end|>) are those tokens, not text"},
    {"--pieces", nullptr, "a line for each token, with what it stands for"},
    {"--count", nullptr, "only how many there are"},
};

bool isDigit(char c)
{
    return c >= '0' && c <= '9';
}

std::vector<int> numbers(std::string_view text)
{
    std::vector<int> tokens;
    const char* const end = text.data() + text.size();
    for (const char* at = std::find_if(text.data(), end, isDigit); at != end; at = std::find_if(at, end, isDigit)) {
        int token = 0;
        const auto [stop, error] = std::from_chars(at, end, token);
        if (error != std::errc())
            quern::fail("The number %1 is too large for a token.", std::string_view(at, stop));
        if (at != text.data() && at[-1] == '-')
            quern::fail("-%1 is no token; numbers begin with 0.", token);
        tokens.push_back(token);
        at = stop;
    }
    return tokens;
}

void printLine(const std::vector<int>& tokens)
{
    std::string line;
    for (const int token : tokens)
        line += (line.empty() ? "" : " ") + std::to_string(token);
    say(line);
}

void printPieces(const std::vector<int>& tokens, const quern::Tokenizer& tokenizer)
{
    for (const int token : tokens) {
        const std::string number = std::to_string(token);
        const std::string space(number.size() < 7 ? 7 - number.size() : 0, ' ');
        say(space + number + "  " + quern::toText(tokenizer.piece(token)));
    }
}

Json describe(const std::vector<int>& tokens, const quern::Tokenizer& tokenizer, bool pieces)
{
    Json json {{"count", tokens.size()}, {"tokens", tokens}};
    for (std::size_t i = 0; pieces && i < tokens.size(); ++i)
        json["pieces"].push_back(tokenizer.piece(tokens[i]));
    if (pieces && tokens.empty())
        json["pieces"] = Json::array();
    return json;
}

void decode(const Arguments& arguments, const quern::Model& model, const quern::Tokenizer& tokenizer)
{
    const std::string text = tokenizer.decode(numbers(textAt(arguments.text("--decode"))), true);
    if (arguments.has("--json"))
        print({{"text", text}, {"warnings", model.warnings}});
    else
        std::fwrite(text.data(), 1, text.size(), stdout);
}

void run(const Arguments& arguments, quern::Progress& progress)
{
    if (arguments.has("--text") == arguments.has("--decode"))
        throw WrongUsage("tokens needs one of --text and --decode");
    const bool json = arguments.has("--json");
    const quern::Model model = opened(arguments.positional()[0], json);
    const quern::Tokenizer tokenizer = quern::tokenizerOf(model);
    if (arguments.has("--decode"))
        return decode(arguments, model, tokenizer);
    const std::vector<int> tokens = tokenizer.encode(textAt(arguments.text("--text")), !arguments.has("--no-bos"),
                                                     arguments.has("--parse-special"), progress);
    const bool pieces = arguments.has("--pieces");
    if (json) {
        Json result = arguments.has("--count") ? Json {{"count", tokens.size()}} : describe(tokens, tokenizer, pieces);
        result["warnings"] = model.warnings;
        print(result);
    } else if (arguments.has("--count")) {
        say(std::to_string(tokens.size()));
    } else if (pieces) {
        printPieces(tokens, tokenizer);
    } else {
        printLine(tokens);
    }
}

} // namespace

const Command tokensCommand {.name = "tokens",
                             .positional = "MODEL --text FILE | --decode FILE",
                             .summary = "token numbers of a text, with the model's own tokenizer; and back",
                             .least = 1,
                             .most = 1,
                             .options = kOptions,
                             .repeatable = {},
                             .run = run};
