#include "app/cli/command.h"
#include "app/cli/console.h"
#include "core/error.h"
#include "core/parallel.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>
#include <unistd.h>

namespace {

constexpr const Command* kCommands[] {&infoCommand,     &statsCommand,   &tokensCommand,       &calibrateCommand,
                                      &quantizeCommand, &compareCommand, &evaluateCommand,     &recipeCommand,
                                      &formatsCommand,  &methodsCommand, &architecturesCommand};

constexpr Option kCommon[] {
    {"--json", nullptr, "one JSON object on stdout, keys sorted"},
    {"--progress", nullptr, "progress on stderr, one JSON object a line"},
    {"--threads", "N", "threads to use; all cores if absent"},
    {"--help", nullptr, "this text", "-h"},
};

enum Status { Done = 0, Failed = 1, Misused = 2, Interrupted = 130 };

void printHelp(std::FILE* to)
{
    std::fputs("quern-cli opens, measures and quantizes large language models.\n\n", to);
    for (const Command* command : kCommands)
        std::fprintf(to, "  quern-cli %-13s %s\n", std::string(command->name).c_str(), command->summary);
    std::fputs("\nMODEL is a GGUF file (the first of its parts), a folder with config.json and safetensors, or a\n"
               ".safetensors file. quern-cli COMMAND --help tells more. Exit status: 0 done, 1 failed, 2 wrong usage,\n"
               "130 interrupted.\n",
               to);
}

void printHelp(const Command& command)
{
    std::printf("quern-cli %s %s\n%s\n\n", std::string(command.name).c_str(), command.positional, command.summary);
    const auto print = [](std::span<const Option> options) {
        for (const Option& option : options) {
            std::string name = option.brief.empty() ? "" : std::string(option.brief) + ", ";
            name += std::string(option.name)
                + (!option.value         ? std::string()
                       : option.attached ? '[' + (':' + std::string(option.value)) + ']'
                                         : ' ' + std::string(option.value));
            std::printf("  %-24s %s\n", name.c_str(), option.help);
        }
    };
    print(command.options);
    print(kCommon);
}

Console::Style styleFor(const Arguments& arguments)
{
    if (arguments.has("--progress"))
        return Console::Style::Json;
    return isatty(STDERR_FILENO) != 0 ? Console::Style::Line : Console::Style::Silent;
}

Status run(const Command& command, std::span<const std::string_view> words)
{
    std::vector<Option> options(command.options.begin(), command.options.end());
    options.insert(options.end(), std::begin(kCommon), std::end(kCommon));
    const Arguments arguments(words, options, command.repeatable);
    if (arguments.has("--help")) {
        printHelp(command);
        return Done;
    }
    const std::size_t n = arguments.positional().size();
    if (n < command.least || n > command.most)
        throw WrongUsage(std::string(command.name) + " is to be called as: quern-cli " + std::string(command.name) + ' '
                         + command.positional);
    quern::setThreads(static_cast<int>(arguments.number("--threads", 1, 1024, 0)));
    Console console(styleFor(arguments));
    try {
        command.run(arguments, console);
        console.check();
    } catch (const quern::Cancelled&) {
        console.finish();
        std::fputs("quern-cli: interrupted\n", stderr);
        return Interrupted;
    }
    return Done;
}

Status run(std::span<const std::string_view> words)
{
    if (words.empty())
        throw WrongUsage("no command is given");
    if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
        printHelp(stdout);
        return Done;
    }
    if (words[0] == "--version") {
        std::puts("quern-cli " QUERN_VERSION);
        return Done;
    }
    const auto command = std::ranges::find(kCommands, words[0], [](const Command* c) { return c->name; });
    if (command == std::end(kCommands))
        throw WrongUsage("unknown command " + std::string(words[0]));
    return run(**command, words.subspan(1));
}

Status failed(const char* message)
{
    std::fprintf(stderr, "quern-cli: %s\n", message);
    return Failed;
}

} // namespace

int main(int argc, char** argv)
{
    try {
        const std::vector<std::string_view> words(argv + std::min(argc, 1), argv + argc);
        const Status status = run(words);
        if (std::fflush(stdout) != 0)
            return failed("the output could not be written");
        return status;
    } catch (const WrongUsage& error) {
        std::fprintf(stderr, "quern-cli: %s\n\n", error.what());
        printHelp(stderr);
        return Misused;
    } catch (const quern::Error& error) {
        return failed(error.what());
    } catch (const std::bad_alloc&) {
        return failed("there is not enough memory");
    } catch (const std::exception& error) {
        return failed(error.what());
    }
}
