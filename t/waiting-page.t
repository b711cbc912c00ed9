# The waiting page in a real browser, in every state that a line can tell it:
# nginx without the module renders the page, with the module's variables taken
# from the query and the demonstration's security policy; the queue location is
# played by the scenarios themselves (t/browser/scripted.js).

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Browser qw(free_port play);
use Ticket::Http;
use Ticket::Nginx;

my @SCENARIOS = qw(prequeue draw closed states early puzzle unsolved);
my @VARIABLES = qw(state position number waiting opens_in plain_url back_url refresh);

my $port  = free_port();
my $nginx = Ticket::Nginx->new(module => 'none', http => configuration());

sub configuration {
    my $web = root_dir() . '/web';
    my ($policy) = slurp(root_dir() . '/conf/demo/nginx.conf') =~ /^\s*(add_header Content-Security-Policy .*)$/m;
    my $set = join '', map { "            set \$ticket_$_ \$arg_$_;\n" } @VARIABLES;
    return <<"END";
    include /etc/nginx/mime.types;
    charset utf-8;
    server {
        listen unix:%%SOCK%%;
        listen 127.0.0.1:$port;
        root   $web;
        $policy
        location = / {
$set            set \$ticket_queue_url /queue;
            ssi on;
            try_files /waiting.\$arg_lang.html /waiting.en.html =404;
        }
        location /static/ { alias $web/; }
    }
END
}

sub rendered {
    my (%value) = @_;
    return $nginx->http('GET', '/?' . join '&', map { "$_=$value{$_}" } sort keys %value)->{body};
}

# The text of the elements a browser without JavaScript shows.
sub plain {
    my ($html, $pattern) = @_;
    my ($found) = $html =~ m{$pattern([^<]*)<};
    return $found;
}

subtest 'without JavaScript' => sub {
    my @LIMITS = (
        [59,    'less than a minute'],
        [299,   'less than 5 minutes'],
        [599,   'less than 10 minutes'],
        [1799,  'less than half an hour'],
        [3599,  'less than an hour'],
        [7199,  'less than two hours'],
        [86399, 'less than a day'],
        [9_999_999, 'more than a day'],
    );
    my $from = 0;
    for my $limit (@LIMITS) {
        my ($last, $words) = @$limit;
        for my $seconds ($from, int(($from + $last) / 2), $last) {
            is plain(rendered(state => 'prequeue', opens_in => $seconds), '<p class="plain-only opens"[^>]*>'),
                "It opens in $words.", "$seconds seconds";
        }
        $from = $last + 1;
    }
    is plain(rendered(state => 'closed'), '<p class="plain-only opens"[^>]*>'), '', 'nothing when it is not known';

    for my $case (['prequeue', 'The sale has not opened yet'], ['closed', 'The sale is not open'], ['waiting', 'You are in line']) {
        my ($state, $heading) = @$case;
        my $html = rendered(state => $state, number => 7);
        is plain($html, '<h1 id="heading">'), $heading, "the heading of $state";
        unlike $html, qr/an error occurred|\(none\)/, 'and no command of SSI has failed';
    }
    is plain(rendered(), '<h1 id="heading">'), 'Waiting room', 'the heading of a visitor without a place';
    is plain(rendered(lang => 'ko', state => 'prequeue', opens_in => 70), '<p class="plain-only opens"[^>]*>'),
        '5분 안에 열립니다.', 'in Korean';

    my $link = qr{<a href="/plain">};
    like rendered(plain_url => '/plain'), $link, 'a way without the puzzle';
    like rendered(plain_url => '/plain'), qr{ data-plain="/plain"}, 'which scripts find too';
    unlike rendered(plain_url => '/plain', number => 7), $link, 'not for who has a place';
    unlike rendered(plain_url => '/plain', state => 'closed'), $link, 'not when the room is closed';
    unlike rendered(), qr{without the puzzle</a></p></noscript>}, 'not when there is none';
    like rendered(refresh => 5), qr/<meta http-equiv="refresh" content="5">/, 'the page reloads';
    like rendered(refresh => 5, back_url => '/x'), qr/<meta http-equiv="refresh" content="5; url=\/x">/, 'or leads back';
};

my ($status, $out, $err) = run('node', "$FindBin::Bin/browser/sha256.js");
is $status, 0, 'the digests of the puzzle are right' or diag $out, $err;
note $out;

for my $name (@SCENARIOS) {
    subtest $name => sub { play($name, $port) };
}

done_testing;
