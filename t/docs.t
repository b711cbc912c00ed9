# Every example of nginx configuration in the documentation is one that nginx
# takes: each is put where it belongs, given what it leaves to the reader, and
# read by nginx -t.  An example is a block indented by four spaces that begins with
# the name of a directive; one that leaves something out ("...") is passed over.

use lib 't/lib';
use Ticket::Test;
use Ticket::Nginx;

my @DOCS = qw(docs/directives.md docs/admin.md docs/halls.md docs/metrics.md README.md);

my $root  = root_dir();
my $nginx = Ticket::Nginx->new(start => 0, http => '');
my $secret = temp_dir() . '/redis.password';
open my $fh, '>', $secret or die "$secret: $!\n";
print {$fh} "secret\n";
close $fh or die "$secret: $!\n";
chmod 0600, $secret or die "$secret: $!\n";

# What examples name and this machine does not have.
my %STANDS_FOR = (
    '/etc/nginx/ticket.keys'      => '%%KEYS%%',
    '/etc/nginx/redis.password'   => $secret,
    'redis.internal'              => '127.0.0.1',
    '/usr/local/share/ticket/problems.conf' => "$root/conf/problems.conf",
    'include       mime.types'    => 'include /etc/nginx/mime.types',
    '/var/log/nginx/ticket.log'   => temp_dir() . '/ticket.log',
);

# What an example needs and does not say, by what tells that it is said.
my @NEEDED = (
    [qr/\bticket_redis\b/,     'ticket_redis unix:/nowhere;'],
    [qr/\bticket_zone\b/,      'ticket_zone rooms:2m;'],
    [qr/\bticket_keys\b/,      'ticket_keys %%KEYS%%;'],
    [qr/\bticket_room\b/,      'ticket_room concert { slots 1; }'],
    [qr/\bmap \$arg_show\b/,   'map $arg_show $show { default 1; }'],
    [qr/\bupstream (?:shop|site)\b/, "upstream shop { server unix:/shop; }\nupstream site { server unix:/site; }"],
    [qr/\bupstream ticket_worker\b/, 'upstream ticket_worker { server unix:/worker; }'],
);

my $IN_HTTP = qr/^(?:ticket_(?:redis|zone|keys|room|identity|bind)|map|geo|limit_(?:req|conn)_zone|log_format|access_log|server)\b/;
my $BEGINS  = qr/^(?:ticket_[a-z_]+ |load_module|log_format|location|server \{|(?:map|geo) \$|limit_(?:req|conn)_zone|map ")/;

sub examples {
    my ($file) = @_;
    my @found;
    my $text = slurp("$root/$file");
    while ($text =~ /^((?: {4}.*\n(?:\n(?= {4}))*)+)/mg) {
        my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
        my $example = $1 =~ s/^ {4}//mgr;
        next if $example !~ $BEGINS || $example =~ /\.\.\./;
        # One below the other, these are one or the other.
        my @one_of = $example =~ /\A(?:ticket_redis .*\n)+\z/ ? split(/^/, $example) : $example;
        push @found, map { ["$file, line $line", $_] } @one_of;
    }
    return @found;
}

# The statements of a text: each up to its ; or its } with all that is between.
sub statements {
    my ($text) = @_;
    my $block = qr/(?<block>\{(?:[^{}"#]|"[^"]*"|#.*|(?&block))*\})/;
    my @found;
    push @found, $1 while $text =~ /\G\s*(?:#.*\s*)*((?:[^{};"]|"[^"]*")*(?:;|$block))/gc;
    die 'no end: ', substr($text, pos $text // 0) if substr($text, pos $text // 0) !~ /\A\s*\z/;
    return @found;
}

# As the text of an http block.
sub wrapped {
    my ($example) = @_;
    $example =~ s/\Q$_\E/$STANDS_FOR{$_}/g for keys %STANDS_FOR;
    $example =~ s/^(?:\s*(?:listen|ssl_\w+) |\$ ).*\n//mg;
    if ($example =~ /^http \{\n(.*)^\}/ms) { $example = $1 }
    my (@http, @server);
    push @{$_ =~ $IN_HTTP ? \@http : \@server}, $_ for statements($example);
    my @more = map { $_->[1] } grep { $example !~ $_->[0] } @NEEDED;
    push @http, join "\n", 'server {', @server, '}' if @server;
    s/\Aserver \{/server { listen unix:%%SOCK%%;/ for @http;
    return join "\n", @more, @http, '';
}

for my $file (@DOCS) {
    my @examples = examples($file);
    cmp_ok(scalar @examples, '>', 0, "$file has examples");
    for my $example (@examples) {
        my ($where, $text) = @$example;
        my ($status, $err) = $nginx->test_conf(wrapped($text));
        is($status, 0, "$where: nginx takes it") or diag $err, wrapped($text);
    }
}

done_testing;
