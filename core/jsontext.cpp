#include "core/jsontext.h"

#include "core/mappedfile.h"

namespace quern {

std::string jsonText(const std::filesystem::path& file, std::uint64_t largest)
{
    const auto mapped = MappedFile::open(file);
    const auto bytes = mapped->bytes();
    if (bytes.size() > largest)
        fail(QUERN_TEXT("core", "%1 has %2 bytes; more than %3 are not expected of such a file."), file.string(),
             bytes.size(), largest);
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    mapped->check();
    checkNesting(text, file.string());
    return text;
}

void checkNesting(std::string_view json, std::string_view source)
{
    constexpr int kDeepest = 64;
    int depth = 0;
    bool inString = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const char c = json[i];
        if (inString) {
            if (c == '\\')
                ++i;
            inString = c != '"';
        } else if (c == '"') {
            inString = true;
        } else if (c == '{' || c == '[') {
            if (++depth > kDeepest)
                fail(QUERN_TEXT("core", "%1 is nested more than %2 levels deep at byte %3. It is no file of a model."),
                     source, kDeepest, i);
        } else if (c == '}' || c == ']') {
            --depth;
        }
    }
}

void failJson(std::string_view source, std::size_t byte)
{
    fail(QUERN_TEXT("core",
                    "%1 is no valid JSON: what stands at byte %2 makes no sense there. The file may be damaged."),
         source, byte);
}

} // namespace quern
