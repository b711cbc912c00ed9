# The pages without a browser: both languages say the same things, scripts and
# pages agree on names, nothing comes from elsewhere, nothing is inline, all of
# it is small, and nginx's SSI renders the visitor's state.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;

my $web = root_dir() . '/web';
my @languages = qw(en ko);
my %SCRIPTS = (
    waiting => [qw(page.js waiting.js view.js countdown.js draw.js puzzle.js ticker.js timer.js proof.js)],
    seats   => [qw(page.js seats.js plan.js hall.js overview.js feed.js holds.js tray.js offer.js countdown.js ticker.js timer.js)],
);

# What the scripts make up from parts, as text(`state-${state}`).
my %MADE = (
    waiting => [map { my $unit = $_; map { "eta-$unit$_" } '', '-up-to', '-range' } qw(minutes hours)],
    seats   => [map { "state-$_" } qw(free chosen mine held sold blocked)],
);

sub page   { return slurp("$web/$_[0].$_[1].html") }
sub source { return join "\n", map { slurp("$web/$_") } @_ }

sub texts {
    my ($html) = @_;
    my %texts = $html =~ /data-text="([\w-]+)">([^<]*)</g;
    return \%texts;
}

sub ids { return sort $_[0] =~ /\bid="([\w-]+)"/g }

# The page's tags and SSI commands, without words: what is left must not
# depend on the language.
sub skeleton {
    my ($html) = @_;
    $html =~ s/<!--#\s*(.*?)\s*-->/{{$1}}/g;
    $html =~ s/\b(?:aria-label|lang)="[^"]*"//g;
    return join "\n", $html =~ /(<[^>]*>|\{\{.*?\}\})/g;
}

for my $name (sort keys %SCRIPTS) {
    my $english = texts(page($name, 'en'));
    my $script = source(@{$SCRIPTS{$name}});
    my @used = ($script =~ /\btext\("([\w-]+)"/g, @{$MADE{$name}});
    my %used = map { $_ => 1 } @used;
    cmp_ok(scalar keys %used, '>', 10, "$name: the script's texts were found");
    for my $language (@languages) {
        my $html = page($name, $language);
        my $texts = texts($html);
        is_deeply([sort keys %$texts], [sort keys %used], "$name.$language: exactly the texts that are used");
        is_deeply([grep { $texts->{$_} !~ /\S/ } sort keys %$texts], [], "$name.$language: no text is empty");
        is_deeply(
            {map { $_ => join ' ', sort $texts->{$_} =~ /\{\w+\}/g } keys %$texts},
            {map { $_ => join ' ', sort $english->{$_} =~ /\{\w+\}/g } keys %$english},
            "$name.$language: texts have the same places to fill in");
        is(skeleton($html), skeleton(page($name, 'en')), "$name.$language: the same page apart from its words");
        like($html, qr/^<!doctype html>\n<html lang="$language">/, "$name.$language: names its language");
        my %id;
        $id{$_}++ for ids($html);
        is_deeply([grep { $id{$_} > 1 } sort keys %id], [], "$name.$language: every id once");
        is_deeply([grep { !$id{$_} } sort $script =~ /byId\("([\w-]+)"\)/g], [], "$name.$language: has all ids the script wants");
        is_deeply([grep { !$id{$_} } map { split ' ' } $html =~ /aria-(?:labelledby|describedby)="([^"]+)"/g],
            [], "$name.$language: aria names exist");
        like($html, qr/<meta name="robots" content="noindex/, "$name.$language: not for search engines");
        like($html, qr/<meta name="viewport"/, "$name.$language: fits a phone");
    }
    unlike($script, qr/[^\x00-\x7f](?<![✓★–×…→≤])/, "$name: the scripts have no language");
    my %data = map { s/-(\w)/\u$1/gr => 1 } page($name, 'en') =~ /\bdata-([\w-]+)=/g;
    is_deeply([grep { !$data{$_} } $script =~ m{(?<!/)\bpage\.(\w+)}g], [], "$name: has all data attributes the script wants");
}

# Korean is Korean.
for my $name (sort keys %SCRIPTS) {
    my $texts = texts(page($name, 'ko'));
    my @foreign = grep { $texts->{$_} =~ s/\{\w+\}//gr =~ /\w/ && $texts->{$_} !~ /[\xea-\xed][\x80-\xbf]{2}/ } sort keys %$texts;
    is_deeply(\@foreign, [], "$name.ko: every text has Korean words");
}

# States: what the scripts set, the style sheet tells apart and the page names
# are the same ones; waiting stands for all others.
{
    my $html = page('waiting', 'en');
    my %styled = map { $_ => 1 } 'waiting', slurp("$web/ticket.css") =~ /\[data-state="(\w+)"\] \[data-when\]/g;
    is_deeply([grep { !$styled{$_} } map { split ' ' } $html =~ /data-when="([^"]+)"/g], [], 'states in the page are in the style sheet');
    my %begun = map { $_ => 1 } source('view.js') =~ /\bbegin\("(\w+)"/g;
    is_deeply([sort grep { $_ ne 'called' } keys %begun], [sort keys %styled], 'and are those the script begins');
}

# Whoever writes a page of their own finds its names in the manual.
{
    my $html = page('waiting', 'en');
    my $manual = slurp(root_dir() . '/docs/pages.md');
    my %name = map { $_ => 1 } $html =~ /\$(ticket_\w+)/g, $html =~ /echo var="(\w+)"/g;
    delete $name{ticket_way};
    is_deeply([grep { $manual !~ /`\$$_`/ } sort keys %name], [], 'the manual has all variables of the waiting page');
    my ($body) = $html =~ /<body (.*)>/;
    is_deeply([grep { $manual !~ /`$_`/ } $body =~ /\b(data-[\w-]+)=/g], [], 'and all attributes of its body');
}

my @files = map { s{.*/}{}r } glob "$web/*";
is_deeply([grep { !/^[a-z]+(?:\.(?:en|ko))?\.(?:html|css|js|svg)$/ } @files], [], 'only pages and their assets');
my $sum = 0;
for my $file (@files) {
    my $content = slurp("$web/$file");
    $sum += length $content;
    cmp_ok(length $content, '<', 16 * 1024, "$file is small");
    my $outside = $content =~ s{xmlns="http://www\.w3\.org/2000/svg"}{}r;
    unlike($outside, qr{(?:https?:)?//[\w-]+\.\w}, "$file: no other site");
    next if $file !~ /\.html$/;
    unlike($content, qr/<script(?![^>]*\bsrc=)/, "$file: no inline script");
    unlike($content, qr/<style\b|\sstyle=/,      "$file: no inline style");
    unlike($content, qr/\son\w+\s*=/,            "$file: no inline handler");
    unlike($content, qr/javascript:/i,           "$file: no script address");
    unlike($content, qr/<a\b[^>]*\bhref="(?!#|<!--# echo var="\w+" -->")/, "$file: no address of its own");
    for my $asset ($content =~ /<(?:link|script|img)\b[^>]*\b(?:src|href)="([^"]+)"/g) {
        ok($asset =~ m{^/static/(.+)$} && -f "$web/$1", "$file: $asset exists");
    }
}
cmp_ok($sum, '<', 144 * 1024, 'all of it is small');
for my $name (sort keys %SCRIPTS) {
    my $visit = length source('ticket.css', "$name.ko.html", @{$SCRIPTS{$name}});
    cmp_ok($visit, '<', $name eq 'seats' ? 84 * 1024 : 64 * 1024, "$name: what one visitor loads is small");
}
unlike(source(grep { /\.js$/ } @files), qr/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/,
    'no answer is ever taken for markup');

done_testing;
